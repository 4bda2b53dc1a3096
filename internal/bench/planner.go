package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// startPlanner runs a planner, and returns when it has folded what there is. It
// publishes as many actions at once as a batch holds.
func (g *rig) startPlanner(ctx context.Context) (_ *view.View, stop func(), err error) {
	sightings, err := g.bus.Sightings(ctx)
	if err != nil {
		return nil, nil, err
	}
	statements, err := g.bus.Statements(ctx)
	if err != nil {
		sightings.Close()
		return nil, nil, err
	}
	v := view.New(g.bus.Log())
	p, err := newPlanner(g.bus, v, sightings, statements)
	if err != nil {
		sightings.Close()
		statements.Close()
		return nil, nil, err
	}
	running, cancel := context.WithCancel(ctx)
	var both sync.WaitGroup
	// What ends one of them before its time shows as what does not come.
	both.Go(func() { _ = v.Run(running) })
	both.Go(func() { _ = p.Run(running) })
	stop = func() {
		cancel()
		both.Wait()
		sightings.Close()
		statements.Close()
	}
	if err := v.CatchUp(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return v, stop, nil
}

func newPlanner(bus *eventlog.Bus, v *view.View, sightings planner.Sightings, statements planner.Statements) (*planner.Planner, error) {
	policy := engine.DefaultPolicy()
	policy.MaxInFlight = engine.MaxInFlightLimit
	return planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: view.NewInventories(bus.GetInventory), Sightings: sightings, Statements: statements,
		// Nobody sends heartbeats here, and nobody is to be called lost for that.
		Lease: time.Hour, Policy: policy, Logger: zerolog.Nop(),
	})
}

// watchActions hands out the sequences of the actions that are published from
// now on.
func (g *rig) watchActions(ctx context.Context) (seen <-chan uint64, stop func(), err error) {
	return g.bare.Watch(ctx, "FLEET", g.bus.Subjects().AllActions())
}

// await returns when n more have been seen.
func await(ctx context.Context, seen <-chan uint64, n int) error {
	for i := range n {
		select {
		case <-seen:
		case <-ctx.Done():
			return fmt.Errorf("wait for action %d of %d: %w", i+1, n, context.Cause(ctx))
		}
	}
	return nil
}
