package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/internal/simulate"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// runMass cuts off every node of a fleet at once.
func runMass(ctx context.Context, r *run) error {
	w := watched{nodes: r.pick(100_000, 0, 1000), interval: r.beatEach(5 * time.Second), ramp: r.span(5, 0, 1)}
	c, err := r.crowd(ctx, w)
	if err != nil {
		return err
	}
	defer c.close()
	c.sim.Halt()
	asking, stop := context.WithCancel(ctx)
	defer stop()
	slowest := make(chan time.Duration, 1)
	go func() { slowest <- c.askOn(asking) }()
	if err := c.until(ctx, func(s simulate.Summary) bool { return s.Lost > 0 }); err != nil {
		return err
	}
	began := time.Now()
	if err := c.until(ctx, func(s simulate.Summary) bool { return s.Lost >= uint64(w.nodes) }); err != nil {
		return err
	}
	folded := time.Since(began)
	held, err := c.heldAsBlind(ctx)
	if err != nil {
		return err
	}
	stop()
	r.add("mass/100000", float64(<-slowest)/float64(time.Millisecond), w.nodes)
	r.add("mass/100000/folded", folded.Seconds(), w.nodes)
	r.add("mass/100000/held", held, w.nodes)
	return nil
}

// askOn asks the planner how it is, again and again until ctx ends, and returns
// the longest time that passed without an answer.
func (c *crowd) askOn(ctx context.Context) (longest time.Duration) {
	answered := time.Now()
	for ctx.Err() == nil {
		asked := time.Now()
		services, err := c.bus.Services(ctx)
		if err != nil || !slices.ContainsFunc(services, func(s eventlog.Service) bool { return s.Kind == eventlog.PlannerService }) {
			longest = max(longest, time.Since(answered))
			continue
		}
		longest = max(longest, time.Since(asked))
		answered = time.Now()
		_ = pass(ctx, look)
	}
	return longest
}

// heldAsBlind waits until the planner has decided on the last of what was lost,
// and returns how many actions it holds because it takes itself to be blind.
func (c *crowd) heldAsBlind(ctx context.Context) (float64, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		m, err := c.planner.metrics(ctx)
		if err != nil {
			return 0, err
		}
		held := m[`fleetfold_held_actions{reason="blind_fleet"}`] + m[`fleetfold_held_actions{reason="blind_region"}`]
		if m[`fleetfold_nodes{state="present"}`] == 0 && held > 0 {
			return held, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return 0, fmt.Errorf("the planner has lost every node and does not take itself to be blind")
}
