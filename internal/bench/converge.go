package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/simulate"
	"github.com/fleetfold/fleetfold/internal/standalone"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func convergeBenchmarks() []Benchmark {
	return []Benchmark{{
		Rows: []Row{
			{Name: "converge/10000", Unit: "s", Help: "from an empty log to strict enforcement with 10,000 simulated agents, and planner, executor, issuer and server in this process"},
			{Name: "converge/10000/rate", Unit: "actions/s", Help: "actions of these that were carried out in a second"},
			{Name: "converge/10000/again", Unit: "actions", Bound: none, Help: "actions that were published beyond one for each need"},
		},
		Slow: true,
		run:  runConverge,
	}}
}

func runConverge(ctx context.Context, r *run) error {
	dir, err := r.folder("fleet")
	if err != nil {
		return err
	}
	config := simulate.Config{
		Nodes: r.pick(10_000, 0, 30), Interval: 5 * time.Second, Ramp: r.span(2, 0, 1), Seed: 1, Vanish: true, Logger: zerolog.Nop(),
	}
	policy := engine.DefaultPolicy()
	policy.MaxInFlight = engine.MaxInFlightLimit
	f, err := standalone.Start(ctx, standalone.Options{
		Dir: dir, Prefix: events.DefaultPrefix, Lease: config.AskedLease(), Concurrency: executor.MaxConcurrency, EnrollTimeout: time.Minute,
		Safeguards: engine.DefaultSafeguards(), Played: true, Policy: policy, Logger: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	defer f.Close()
	bus, err := eventlog.Connect(ctx, eventlog.Options{URL: f.URL(), Name: "fleetfold bench nodes"})
	if err != nil {
		return err
	}
	defer bus.Close()
	config.Bus, config.Evidence = bus, f.Attest().Prove
	sim, err := simulate.New(config)
	if err != nil {
		return err
	}
	return convergeOn(ctx, r, f, sim, bus)
}

func convergeOn(ctx context.Context, r *run, f *standalone.Fleet, sim *simulate.Simulation, bus *eventlog.Bus) error {
	text, err := sim.InventoryText(simulate.Inventory{TrustDomain: "bench.example", Regions: 10, TTL: "1h", Before: "15m", Strict: true})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 2)
	began := time.Now()
	go func() { ended <- f.Run(running) }()
	go func() { _, err := sim.Run(running); ended <- err }()
	defer func() { stop(); <-ended; <-ended }()
	if _, _, err := f.Apply(ctx, text, "bench"); err != nil {
		return err
	}
	t, err := readUntilStrict(ctx, bus.Log(), sim.Nodes)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	r.add("converge/10000", took, sim.Nodes)
	r.add("converge/10000/rate", float64(t.succeeded)/took, t.succeeded)
	r.add("converge/10000/again", float64(t.again), t.actions)
	return nil
}

// tally is what the log says of actions.
type tally struct {
	actions, again, succeeded int
	first                     map[fleet.Action]bool
}

// convergeTime bounds the wait for the end.
const convergeTime = 10 * time.Minute

// readUntilStrict counts the actions of a log up to the flip to strict.
func readUntilStrict(ctx context.Context, log eventlog.Log, nodes int) (t tally, err error) {
	ctx, cancel := context.WithTimeout(ctx, convergeTime)
	defer cancel()
	t.first = make(map[fleet.Action]bool, nodes)
	cursor, err := log.Follow(ctx, 0)
	if err != nil {
		return t, err
	}
	defer cursor.Close()
	for {
		records, err := cursor.Next(ctx)
		if err != nil {
			return t, fmt.Errorf("wait for strict enforcement, after %d actions and %d outcomes: %w", t.actions, t.succeeded, err)
		}
		for _, rec := range records {
			if rec.Event != nil && t.note(rec.Event) {
				return t, nil
			}
		}
	}
}

// note says whether that was the flip to strict.
func (t *tally) note(e *events.Event) bool {
	switch d := e.Data.(type) {
	case *events.ActionRequested:
		need := fleet.Action{Type: d.Type, ID: d.ID}
		if t.actions++; t.first[need] {
			t.again++
		}
		t.first[need] = true
	case *events.ActionSucceeded:
		t.succeeded++
	}
	return e.Type == events.TypeEnforcementEnabled
}
