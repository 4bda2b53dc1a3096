package rollout

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/receiver"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func TestMain(m *testing.M) { leak.Main(m) }

const domain = "fleet.example"

// site is a fleet on a real server: planner, executor and publisher of trust run in
// this process, and so do the agents, by their command.
type site struct {
	*testing.T
	ctx         context.Context
	dir         string
	server      *natsd.Server
	bus         *eventlog.Bus
	view        *view.View
	inventories *view.Inventories
	clients     *attest.Local
	agents      map[fleet.NodeID]*agent

	// ttl of credentials by node; credTTL where there is none.
	ttl map[fleet.NodeID]time.Duration
}

func open(t *testing.T) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	s := &site{T: t, ctx: ctx, dir: t.TempDir(), agents: make(map[fleet.NodeID]*agent), ttl: make(map[fleet.NodeID]time.Duration)}
	var err error
	s.clients, err = attest.OpenLocal(filepath.Join(s.dir, "clients"), nil)
	s.must(err)
	s.server, err = natsd.Start(natsd.Options{Dir: filepath.Join(s.dir, "streams"), Port: port.Hold(t), Logger: zerolog.Nop()})
	s.must(err)
	t.Cleanup(s.server.Shutdown)
	s.bus = s.connect()
	s.must(s.bus.EnsureStreams(ctx))
	s.view, s.inventories = view.New(s.bus.Log()), view.NewInventories(s.bus.GetInventory)
	s.run(s.view.Run)
	s.publish()
	s.planner()
	s.executor()
	return s
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) connect() *eventlog.Bus {
	s.Helper()
	bus, err := eventlog.Connect(s.ctx, eventlog.Options{InProcess: s.server})
	s.must(err)
	s.Cleanup(bus.Close)
	return bus
}

// run runs parts until the test ends.
func (s *site) run(parts ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(s.ctx)
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				s.Error(err)
			}
		})
	}
	s.Cleanup(func() { cancel(); running.Wait() })
}

func (s *site) planner() {
	bus := s.connect()
	sightings, err := bus.Sightings(s.ctx)
	s.must(err)
	s.Cleanup(sightings.Close)
	statements, err := bus.Statements(s.ctx)
	s.must(err)
	s.Cleanup(statements.Close)
	v := view.New(bus.Log())
	p, err := planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: s.inventories, Sightings: sightings, Statements: statements,
		Lease: lease, Policy: engine.DefaultPolicy(), Metrics: planner.NewMetrics(), Logger: zerolog.Nop(),
	})
	s.must(err)
	s.run(v.Run, p.Run)
}

func (s *site) executor() {
	bus := s.connect()
	v := view.New(bus.Log())
	actions, err := bus.Actions(s.ctx, executor.DefaultConcurrency, executor.DefaultAckWait)
	s.must(err)
	s.Cleanup(actions.Close)
	s.run(v.Run, func(ctx context.Context) error {
		set, err := handlers.New(ctx, handlers.Config{
			Log: bus.Log(), View: v, Inventories: s.inventories, Commands: bus, Driver: handlers.Wait{},
			CADir: s.caDir(), Attest: s.clients.Verifiers(), Logger: zerolog.Nop(),
		})
		if err != nil {
			return err
		}
		e, err := executor.New(executor.Config{
			Log: bus.Log(), View: v, Inventories: s.inventories, Actions: actions, Handlers: set, Logger: zerolog.Nop(),
		})
		if err != nil {
			return err
		}
		return e.Run(ctx)
	})
}

func (s *site) caDir() string { return filepath.Join(s.dir, "ca") }

// publish puts what the log says onto the trust stream, as executors do.
func (s *site) publish() {
	bus := s.connect()
	v := view.New(bus.Log())
	issuers, err := authority.New(authority.Config{Log: bus.Log(), View: v, Inventories: s.inventories, Dir: s.caDir(), Logger: zerolog.Nop()})
	s.must(err)
	p := authority.Publisher{Issuers: issuers, Bus: bus}
	s.run(v.Run, func(ctx context.Context) error {
		if err := v.CatchUp(ctx); err != nil {
			return err
		}
		return p.Run(ctx, v)
	})
}

// credTTL is that of most nodes. A credential counts until identity.SkewMargin before
// its end, so that each node is issued another every few seconds.
const credTTL = identity.SkewMargin + 10*time.Second

// regions have an intermediate each, of the same name.
var regions = [2]string{"oslo", "nyc"}

// want puts an inventory of these nodes into force and waits until the receivers
// have heard of its posture.
func (s *site) want(strict bool, ids ...fleet.NodeID) {
	s.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "trust_domain: %s\nregions:\n", domain)
	for n, id := range ids {
		if n == 0 || n == 2 { // two nodes in oslo, the others in nyc
			fmt.Fprintf(&b, "  - name: %[1]s\n    intermediate_ca: %[1]s\n    nodes:\n", regions[n/2])
		}
		fmt.Fprintf(&b, "      - {id: %s, attestor: mtls-cert, cred_ttl: %.0fs, renew_before: 1s}\n", id, cmp.Or(s.ttl[id], credTTL).Seconds())
	}
	fmt.Fprintf(&b, "quorum: {width: 1}\nenforcement: {require_sig: %v}\n", strict)
	_, _, err := planner.Apply(s.ctx, s.bus, s.bus.Log(), s.view, []byte(b.String()), "test", "", time.Now())
	s.must(err)
	s.await("the posture", func(state *projection.State) bool { return state.StrictEnforced() == strict })
	var at uint64
	s.view.Read(func(state *projection.State) { at = state.LastEnforcement() })
	for _, id := range ids {
		s.agents[id].hears(at)
	}
}

// await waits until the log says so.
func (s *site) await(what string, condition func(*projection.State) bool) {
	s.Helper()
	if err := s.view.Wait(s.ctx, condition); err != nil {
		s.Fatalf("wait for %s: %v\n%s", what, err, s.logs())
	}
}

func (s *site) logs() string {
	var b strings.Builder
	for id, a := range s.agents {
		fmt.Fprintf(&b, "%s:\n%s\n", id, &a.log)
	}
	return b.String()
}

// reissued waits until each node was proved with another credential than now.
func (s *site) reissued(ids ...fleet.NodeID) {
	s.Helper()
	before := make(map[fleet.NodeID]string)
	s.view.Read(func(state *projection.State) {
		for _, id := range ids {
			if n, ok := state.Node(id); ok && n.Proved != nil {
				before[id] = n.Proved.Serial
			}
		}
	})
	s.await("other credentials", func(state *projection.State) bool {
		for _, id := range ids {
			if n, ok := state.Node(id); !ok || n.Proved == nil || n.Proved.Serial == before[id] {
				return false
			}
		}
		return true
	})
}

// stolen is a copy of what a node signs with.
func (s *site) stolen(id fleet.NodeID) *receiver.Credential {
	s.Helper()
	key, created, err := identity.LoadOrCreateKey(filepath.Join(s.agents[id].dir, "key.pem"))
	if err != nil || created {
		s.Fatalf("the key of %s: %v, %v", id, created, err)
	}
	chain, err := os.ReadFile(filepath.Join(s.agents[id].dir, "credential.pem"))
	s.must(err)
	return &receiver.Credential{Key: key, ChainPEM: chain, ID: "spiffe://" + domain + "/" + string(id)}
}
