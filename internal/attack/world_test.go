package attack

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

const domain = "fleet.example"

// world is a server and, on it, a planner.
type world struct {
	t, root *testing.T
	ctx     context.Context
	url     string
	dir     string
	bus     *eventlog.Bus
	cursor  eventlog.Cursor
	arrived []eventlog.Record
}

// newWorld runs a planner on an inventory of these nodes.
func newWorld(t *testing.T, attestor fleet.Attestor, ids ...fleet.NodeID) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	w := &world{t: t, root: t, ctx: ctx, url: server.URL(), dir: t.TempDir()}
	if w.bus, err = eventlog.Connect(ctx, eventlog.Options{URL: w.url, Name: "attacker"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.bus.Close)
	if err := w.bus.EnsureStreams(ctx); err != nil {
		t.Fatal(err)
	}
	if w.cursor, err = w.bus.Log().Follow(ctx, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cursor.Close)
	text := "trust_domain: " + domain + "\nquorum: {width: 1}\nregions:\n  - name: nyc\n    nodes:\n"
	for _, id := range ids {
		text += fmt.Sprintf("      - {id: %s, attestor: %s, cred_ttl: 1h, renew_before: 15m}\n", id, attestor)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "fleet.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(plannercmd.New(), "--inventory", filepath.Join(w.dir, "fleet.yaml"), "--lease", "2s", "--lost-wait", "0s", "--backoff-base", "50ms", "--backoff-cap", "100ms")
	w.next("the inventory is in force", func(e *events.Event) bool { return e.Type == events.TypeInventoryApplied })
	return w
}

// start runs a command until the test ends.
func (w *world) start(cmd *cobra.Command, args ...string) {
	w.t.Helper()
	log, ended := new(clitest.Log), make(chan int, 1)
	cmd.SetErr(log)
	cmd.SetArgs(append(args, "--nats", w.url))
	ctx, cancel := context.WithCancel(w.ctx)
	go func() { ended <- cli.Run(ctx, cmd) }()
	w.t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 && code != cli.ExitInterrupted {
			w.t.Errorf("%s ends with code %d", cmd.Name(), code)
		}
		if w.t.Failed() {
			w.t.Logf("%s %s said:\n%s", cmd.Name(), strings.Join(args, " "), log)
		}
	})
}

// next passes over the log up to the event that is wanted.
func (w *world) next(what string, wanted func(*events.Event) bool) eventlog.Record {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	for {
		for len(w.arrived) > 0 {
			r := w.arrived[0]
			w.arrived = w.arrived[1:]
			if r.Event != nil && wanted(r.Event) {
				return r
			}
		}
		records, err := w.cursor.Next(ctx)
		if err != nil {
			w.t.Fatalf("%s: %v", what, err)
		}
		w.arrived = records
	}
}

// refused waits until the log shows that the border refused what a node has
// stated, and why.
func (w *world) refused(id fleet.NodeID, reason fleet.Reason) {
	w.t.Helper()
	r := w.next(fmt.Sprintf("%s is refused as %s", id, reason), func(e *events.Event) bool {
		d, ok := e.Data.(*events.MessageRefused)
		return ok && d.Node == id && d.Channel == "credential" && d.Reason == reason
	})
	if text := logline.Text(r); !strings.Contains(text, "message.refused") || !strings.Contains(text, string(reason)) || !strings.Contains(text, string(id)) {
		w.t.Errorf("the log shows %q", text)
	}
}

// failed waits until the log shows that an action on a node failed, and why.
func (w *world) failed(id fleet.NodeID, reason fleet.Reason) {
	w.t.Helper()
	r := w.next(fmt.Sprintf("an action on %s fails as %s", id, reason), func(e *events.Event) bool {
		d, ok := e.Data.(*events.ActionFailed)
		return ok && d.ID == id && d.Reason == reason
	})
	if text := logline.Text(r); !strings.Contains(text, "action.failed") || !strings.Contains(text, string(reason)) {
		w.t.Errorf("the log shows %q", text)
	}
}

func (w *world) append(e *events.Event) {
	w.t.Helper()
	e.ID, e.Source, e.Time = events.NewID(string(e.Type), string(e.Node), time.Now().String()), events.SourceExecutor, time.Now()
	if _, err := w.bus.Log().Append(w.ctx, eventlog.Entry{Event: e}); err != nil {
		w.t.Fatal(err)
	}
}

// node is an agent of its own making.
type node struct {
	id          fleet.NodeID
	key         *ecdsa.PrivateKey
	fingerprint string
}

func (w *world) node(id fleet.NodeID) *node {
	w.t.Helper()
	key, _, err := identity.LoadOrCreateKey(filepath.Join(w.t.TempDir(), "keys", events.Token(id)))
	if err != nil {
		w.t.Fatal(err)
	}
	fingerprint, err := identity.Fingerprint(key.Public())
	if err != nil {
		w.t.Fatal(err)
	}
	return &node{id, key, fingerprint}
}

// beat says that the node is there, and waits until the log says so.
func (w *world) beat(n *node, epoch uint64) {
	w.t.Helper()
	const lease = time.Minute
	err := w.bus.Beat(w.ctx, n.id, &events.Event{
		ID: events.NewID("beat", string(n.id), time.Now().String()), Source: events.NodeSource(n.id), Type: events.TypeNodeHeartbeat, Node: n.id, Time: time.Now(),
		Data: &events.Heartbeat{Session: fmt.Sprint("session ", epoch), LeaseSeconds: int(lease.Seconds()), KeyFingerprint: n.fingerprint},
	}, lease)
	if err != nil {
		w.t.Fatal(err)
	}
	w.next(fmt.Sprintf("%s appears", n.id), func(e *events.Event) bool {
		d, ok := e.Data.(*events.NodeAppeared)
		return ok && e.Node == n.id && d.Epoch == epoch
	})
}

// statement that n answers a challenge, signed by key.
func (w *world) statement(n *node, key *ecdsa.PrivateKey, d events.CredentialProved) *events.Event {
	w.t.Helper()
	e := &events.Event{
		ID: events.NewID("proof", d.Serial, d.Nonce, string(n.id)), Source: "spiffe://" + domain + "/" + string(n.id),
		Type: events.TypeCredentialProved, Node: n.id, Time: time.Now(), Data: &d,
	}
	if err := proof.SignEvent(key, e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) state(e *events.Event) {
	w.t.Helper()
	if err := w.bus.State(w.ctx, e); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) proved(id fleet.NodeID, serial string) *events.CredentialProved {
	w.t.Helper()
	r := w.next(fmt.Sprintf("%s signs", id), func(e *events.Event) bool {
		d, ok := e.Data.(*events.CredentialProved)
		return ok && e.Node == id && d.Serial == serial
	})
	return r.Event.Data.(*events.CredentialProved)
}
