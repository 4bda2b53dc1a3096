package planner_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// A planner that starts anew finds the pace that is in force, and nodes can read it.
func TestThePlannerTellsNodesTheirPace(t *testing.T) {
	s := newSite(t)
	bus := s.connect()
	sightings, err := bus.Sightings(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer sightings.Close()
	statements, err := bus.Statements(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer statements.Close()
	v := view.New(bus.Log())
	p, err := planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: view.NewInventories(bus.GetInventory), Sightings: sightings, Statements: statements,
		Paces: bus, HeartbeatRate: 1, Lease: time.Second, Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = v.Run(ctx) })
	running.Go(func() { _ = p.Run(ctx) })
	heard := make(chan events.Pace, 1)
	running.Go(func() {
		_ = bus.BundlesAndPaces(ctx, func([]byte) {}, func(text []byte) {
			if pace, err := events.ParsePace(text); err == nil {
				heard <- pace
			}
		})
	})
	s.apply(v, twoNodes)
	select {
	case pace := <-heard:
		if pace.IntervalSeconds != 3 || pace.Nodes != 2 || pace.Lease() != 9*time.Second || pace.Sequence == 0 {
			t.Errorf("two nodes at one heartbeat a second are told %+v", pace)
		}
	case <-s.ctx.Done():
		t.Fatal("no pace was heard")
	}
	// What passes by is heard before it is stored.
	for now := (events.Pace{}); now.IntervalSeconds != 3; {
		if now, err = bus.Pace(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
	older := events.Pace{IntervalSeconds: 9, Sequence: 0}
	if published, err := bus.PublishPace(s.ctx, older); err != nil || published {
		t.Errorf("an older one was published: %v, %v", published, err)
	}
}
