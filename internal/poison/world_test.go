package poison

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestMain(m *testing.M) { leak.Main(m) }

const maxPayload = 16 << 20

// world is a server that lets anybody write anything.
type world struct {
	t   *testing.T
	ctx context.Context
	url string
	js  jetstream.JetStream
	nc  *nats.Conn
	bus *eventlog.Bus
	dir string

	planner, executor *service
	cursor            eventlog.Cursor
	arrived           []eventlog.Record
	generation        uint64
	strict            bool
	nodes             []fleet.NodeID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: maxPayload,
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not come up")
	}
	w := &world{t: t, ctx: ctx, url: ns.ClientURL(), dir: t.TempDir()}
	if w.nc, err = nats.Connect(w.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.nc.Close)
	if w.js, err = jetstream.New(w.nc); err != nil {
		t.Fatal(err)
	}
	if w.bus, err = eventlog.Connect(ctx, eventlog.Options{URL: w.url, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.bus.Close)
	if err := w.bus.EnsureStreams(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// service is a command that runs until the test ends.
type service struct {
	name, url string
	log       *clitest.Log
	ended     chan int
}

func (w *world) start(name string, cmd *cobra.Command, args ...string) *service {
	w.t.Helper()
	s := &service{name: name, log: new(clitest.Log), ended: make(chan int, 1)}
	cmd.SetErr(s.log)
	cmd.SetArgs(append(args, "--nats", w.url, "--listen", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(w.ctx)
	go func() { s.ended <- cli.Run(ctx, cmd) }()
	w.t.Cleanup(func() {
		cancel()
		if code := <-s.ended; code != 0 {
			w.t.Errorf("%s ends with code %d\n%s", name, code, s.log)
		}
	})
	s.url = fmt.Sprintf("http://%s", s.log.Wait(w.ctx, w.t, "serving health and metrics")["address"])
	return s
}

func (w *world) file() string { return filepath.Join(w.dir, "fleet.yaml") }

func (w *world) startPlanner() *service {
	return w.start("planner", plannercmd.New(), "--inventory", w.file(), "--lease", "2s", "--lost-wait", "0s", "--backoff-base", "50ms")
}

func (w *world) startExecutor(name string) *service {
	return w.start(name, executorcmd.New(), "--dir", filepath.Join(w.dir, name), "--driver", "wait", "--attest-ca", w.clients().File)
}

// clients is the CA that agents have their client certificates from.
func (w *world) clients() *attest.Local {
	clients, err := attest.OpenLocal(filepath.Join(w.dir, "clients"), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return clients
}

func (w *world) startAgent(id fleet.NodeID) {
	if err := w.clients().Equip(id, filepath.Join(w.dir, string(id))); err != nil {
		w.t.Fatal(err)
	}
	w.start(string(id), agentcmd.New(), "--id", string(id), "--dir", filepath.Join(w.dir, string(id)), "--lease", "2s")
}

// fleet runs everything with two nodes, and waits until it is strict.
func (w *world) fleet() {
	w.t.Helper()
	var err error
	if w.cursor, err = w.bus.Log().Follow(w.ctx, 0); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.cursor.Close)
	w.nodes = []fleet.NodeID{"n1", "n2"}
	w.write()
	w.planner = w.startPlanner()
	w.executor = w.startExecutor("executor")
	for _, id := range w.nodes {
		w.startAgent(id)
	}
	w.errand()
}

func (w *world) write() {
	w.t.Helper()
	text := "trust_domain: fleet.example\nquorum: {width: 1}\nenforcement: {require_sig: " + strconv.FormatBool(w.strict) + "}\nregions:\n  - name: nyc\n    nodes:\n"
	for _, id := range w.nodes {
		text += fmt.Sprintf("      - {id: %s, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}\n", id)
	}
	// As an editor does, so that nobody reads half of it.
	if err := os.WriteFile(w.file()+".new", []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.file()+".new", w.file()); err != nil {
		w.t.Fatal(err)
	}
}

// errand has the fleet change its enforcement, and waits until it has.
func (w *world) errand() {
	w.t.Helper()
	w.strict = !w.strict
	w.write()
	want := events.TypeEnforcementDisabled
	if w.strict {
		want = events.TypeEnforcementEnabled
	}
	w.next("the fleet runs its errand", func(e *events.Event) bool { return e.Type == want })
}

// next passes over the log up to the event that is wanted.
func (w *world) next(what string, wanted func(*events.Event) bool) *events.Event {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	for {
		for len(w.arrived) > 0 {
			r := w.arrived[0]
			w.arrived = w.arrived[1:]
			if r.Event == nil {
				continue
			}
			if d, ok := r.Event.Data.(*events.InventoryApplied); ok && d.Generation == w.generation+1 {
				w.generation++
			}
			if wanted(r.Event) {
				return r.Event
			}
		}
		records, err := w.cursor.Next(ctx)
		if err != nil {
			w.t.Fatalf("%s: %v\nplanner:\n%s\nexecutor:\n%s", what, err, w.planner.log, w.executor.log)
		}
		w.arrived = records
	}
}

// put stores a message as it is.
func (w *world) put(m events.Message) uint64 {
	w.t.Helper()
	ack, err := w.js.PublishMsg(w.ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	if err != nil {
		w.t.Fatalf("the server did not take the message: %v", err)
	}
	return ack.Sequence
}

// event is an event as an honest writer would send it.
func (w *world) event(t events.Type, node fleet.NodeID, data events.Payload) events.Message {
	w.t.Helper()
	e := &events.Event{ID: "x", Source: "fleetfold/planner", Type: t, Node: node, Time: time.Now(), Data: data}
	if t.IsAction() {
		e.Step = &events.Step{Plan: "plan-x", Step: 1, Steps: 1, Basis: 1}
	}
	if t == events.TypeNodeHeartbeat {
		e.Source = events.NodeSource(node)
	}
	m, err := events.Encode(w.bus.Subjects(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// metric is the value of the series that begins with name; 0 while there is none.
func (s *service) metric(ctx context.Context, t *testing.T, name string) float64 {
	t.Helper()
	_, body := clitest.Get(ctx, t, s.url+"/metrics")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

// await waits until a series of a service has at least that value.
func (w *world) await(s *service, name string, atLeast float64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	for s.metric(w.ctx, w.t, name) < atLeast {
		if ctx.Err() != nil {
			w.t.Fatalf("%s: %s is below %v\n%s", s.name, name, atLeast, s.log)
		}
	}
}
