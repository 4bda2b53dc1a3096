package simulate_test

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/internal/simulate"
	"github.com/fleetfold/fleetfold/internal/standalone"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

func TestMain(m *testing.M) { leak.Main(m) }

// world is a whole fleet without agents, and a simulation of them.
type world struct {
	t     *testing.T
	ctx   context.Context
	fleet *standalone.Fleet
	bus   *eventlog.Bus
}

func newWorld(t *testing.T) *world {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	f, err := standalone.Start(ctx, standalone.Options{
		Dir: t.TempDir(), Prefix: events.DefaultPrefix, Lease: 3 * time.Second, Concurrency: 16, EnrollTimeout: time.Minute,
		Safeguards: engine.DefaultSafeguards(), Played: true, Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	bus, err := eventlog.Connect(ctx, eventlog.Options{URL: f.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	return &world{t: t, ctx: ctx, fleet: f, bus: bus}
}

// play runs fleet and simulation until the log has shown enough.
func (w *world) play(c simulate.Config, k simulate.Inventory, enough func(*events.Event) bool) simulate.Summary {
	w.t.Helper()
	c.Bus, c.Evidence, c.Logger = w.bus, w.fleet.Attest().Prove, zerolog.Nop()
	sim, err := simulate.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := c.InventoryText(k)
	if err != nil {
		w.t.Fatal(err)
	}
	running, stop := context.WithCancel(w.ctx)
	playing, end := context.WithCancel(running)
	ran, played := make(chan error, 1), make(chan simulate.Summary, 1)
	go func() { ran <- w.fleet.Run(running) }()
	go func() {
		sum, err := sim.Run(playing)
		if err != nil {
			w.t.Errorf("simulation ended with %v", err)
		}
		played <- sum
	}()
	if _, _, err := w.fleet.Apply(w.ctx, text, "test"); err != nil {
		w.t.Fatal(err)
	}
	w.read(enough)
	end()
	sum := <-played
	stop()
	if err := <-ran; err != nil {
		w.t.Error(err)
	}
	return sum
}

func (w *world) read(enough func(*events.Event) bool) {
	w.t.Helper()
	cursor, err := w.bus.Log().Follow(w.ctx, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer cursor.Close()
	for {
		records, err := cursor.Next(w.ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range records {
			if r.Err != nil {
				w.t.Fatalf("record %d: %v", r.Sequence, r.Err)
			}
			if enough(r.Event) {
				return
			}
		}
	}
}

// Planner and executor do not know the difference.
func TestSimulatedNodesBecomeAStrictFleet(t *testing.T) {
	k := simulate.Inventory{TrustDomain: "sim.example", Regions: 3, TTL: "1h", Before: "15m", Strict: true}
	sum := newWorld(t).play(simulate.Config{Nodes: 25, Interval: time.Second, Seed: 7}, k, func(e *events.Event) bool {
		return e.Type == events.TypeEnforcementEnabled
	})
	if sum.FalseLosses != 0 || sum.Refused != 0 || sum.Failed != 0 || sum.Acknowledged < 25 {
		t.Errorf("it went like this: %+v", sum)
	}
}

func TestSimulatedNodesDieAndComeBack(t *testing.T) {
	lost, back := make(map[string]bool), false
	k := simulate.Inventory{TrustDomain: "sim.example", Regions: 1, TTL: "1h", Before: "15m"}
	sum := newWorld(t).play(simulate.Config{Nodes: 12, Interval: time.Second, Churn: 10, Away: 5 * time.Second, Seed: 3}, k, func(e *events.Event) bool {
		switch e.Type {
		case events.TypeNodeLost:
			lost[string(e.Node)] = true
		case events.TypeNodeAppeared:
			back = back || lost[string(e.Node)]
		}
		return back
	})
	if sum.Died == 0 || sum.Returned == 0 || sum.FalseLosses != 0 {
		t.Errorf("it went like this: %+v", sum)
	}
}

func TestSimulatedNodesRenewTheirCredentials(t *testing.T) {
	proofs := make(map[string]int)
	// A credential this short is renewed seconds after it was issued.
	k := simulate.Inventory{TrustDomain: "sim.example", Regions: 1, TTL: "61s", Before: "60s"}
	sum := newWorld(t).play(simulate.Config{Nodes: 2, Interval: time.Second, Seed: 1}, k, func(e *events.Event) bool {
		if e.Type == events.TypeCredentialProved {
			proofs[string(e.Node)]++
		}
		return proofs[string(e.Node)] > 1
	})
	if sum.FalseLosses != 0 {
		t.Errorf("it went like this: %+v", sum)
	}
}

func TestTheInventoryNamesEachNodeOnce(t *testing.T) {
	for _, nodes := range []int{1, 3, 1234} {
		c := simulate.Config{Nodes: nodes}
		text, err := c.InventoryText(simulate.Inventory{TrustDomain: "sim.example", Regions: 10, TTL: "1h", Before: "15m"})
		if err != nil {
			t.Fatal(err)
		}
		inv, rep := inventory.Parse(text)
		if !rep.Valid() || inv.Len() != nodes {
			t.Fatalf("%d nodes: %v", nodes, rep.Err())
		}
		if inv.RegionOf("sim-0000000") == nil || inv.RegionOf(c.ID(nodes-1)) == nil {
			t.Errorf("%d nodes: the first or the last is missing", nodes)
		}
	}
}

func TestAConfigurationIsCheckedAsAWhole(t *testing.T) {
	good := simulate.Config{Nodes: 10}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*simulate.Config){
		"nobody":                    func(c *simulate.Config) { c.Nodes = 0 },
		"too many":                  func(c *simulate.Config) { c.Nodes = simulate.MaxNodes + 1 },
		"no name of a node":         func(c *simulate.Config) { c.Name = "a b" },
		"too often":                 func(c *simulate.Config) { c.Interval = time.Millisecond },
		"a lease of half a second":  func(c *simulate.Config) { c.Lease = 1500 * time.Millisecond },
		"a lease of one interval":   func(c *simulate.Config) { c.Interval, c.Lease = 5*time.Second, 5*time.Second },
		"jitter above the interval": func(c *simulate.Config) { c.Jitter = 1.1 },
		"negative churn":            func(c *simulate.Config) { c.Churn = -1 },
		"nothing in flight":         func(c *simulate.Config) { c.InFlight = -1 },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s was taken: %+v", says, c)
		}
	}
}
