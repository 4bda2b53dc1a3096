package bench

import (
	"context"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/internal/bench/floor"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func loopBenchmarks() []Benchmark {
	const bare = "; the floor is a bare publish, consume, atomic batch of the same size, consume"
	return []Benchmark{
		{
			Rows: []Row{
				{Name: "loop/latency/p50", Unit: "ms", Bound: ratioAtMost(1.3, 1.1), Help: "from a fact's publish to its action seen by a subscriber, half of them faster" + bare},
				{Name: "loop/latency/p99", Unit: "ms", Bound: ratioAtMost(1.5, 1.2), Help: "the same, 99 of 100 faster"},
			},
			run: runLoopLatency,
		},
		{
			Rows: []Row{{
				Name: "loop/throughput", Unit: "changes/s", Bound: ratioAtLeast(0.5, 0.8),
				Help: "changes that come in batches and each lead to an action" + bare,
			}},
			run: runLoopThroughput,
		},
	}
}

// loopNodes is the fleet whose credentials end, one after the other or many at once.
const loopNodes = 900

// decider is a planner at work on a fleet of loopNodes nodes.
type decider struct {
	*rig
	view  *view.View // the planner's
	lives []*life
	next  int // of lives, whose credential ends next
	seen  <-chan uint64
	bare  *floor.Loop
	stop  []func()
}

func (r *run) decider(ctx context.Context) (_ *decider, err error) {
	g, err := r.rig(ctx)
	if err != nil {
		return nil, err
	}
	d := &decider{rig: g, stop: []func(){g.close}}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if err := g.apply(ctx, loopNodes); err != nil {
		return nil, err
	}
	var facts []*events.Event
	d.lives, facts = lives(loopNodes, true)
	if err := write(ctx, g.bus.Log(), facts); err != nil {
		return nil, err
	}
	v, stop, err := g.startPlanner(ctx)
	if err != nil {
		return nil, err
	}
	d.view, d.stop = v, append(d.stop, stop)
	if d.seen, stop, err = g.watchActions(ctx); err != nil {
		return nil, err
	}
	d.stop = append(d.stop, stop)
	if err := d.round(ctx, 1); err != nil { // also shows what the messages look like
		return nil, err
	}
	return d, d.startBare(ctx)
}

func (d *decider) close() {
	for _, stop := range slices.Backward(d.stop) {
		stop()
	}
}

// startBare starts the bare loop with messages like those of the first round.
func (d *decider) startBare(ctx context.Context) error {
	last, err := d.bus.Log().Last(ctx)
	if err != nil {
		return err
	}
	var shape floor.Shape
	for i, to := range []*events.Message{&shape.Fact, &shape.Plan, &shape.Action} {
		r, err := d.stored(ctx, last-2+uint64(i))
		if err != nil {
			return err
		}
		*to = r.Message
	}
	const stream = "FLOOR"
	if err := d.rig.bare.Stream(ctx, stream); err != nil {
		return err
	}
	if d.bare, err = d.rig.bare.Loop(ctx, stream, shape); err != nil {
		return err
	}
	d.stop = append(d.stop, d.bare.Close)
	return nil
}

// round lets the credentials of n nodes end and returns when n actions were seen.
func (d *decider) round(ctx context.Context, n int) error {
	entries := make([]eventlog.Entry, n)
	for i := range entries {
		entries[i] = eventlog.Entry{Event: d.lives[d.next].expire()}
		d.next++
	}
	if _, err := d.bus.Log().Append(ctx, entries...); err != nil {
		return err
	}
	return await(ctx, d.seen, n)
}

// heal gives every node a credential again and an outcome to what was published.
func (d *decider) heal(ctx context.Context) error {
	if err := d.view.CatchUp(ctx); err != nil {
		return err
	}
	var facts []*events.Event
	d.view.Read(func(s *projection.State) {
		for _, l := range d.lives {
			if s.CanSign(l.id) {
				continue
			}
			facts = append(facts, l.issue(), l.prove())
			if id, kind, ok := s.Ledger().InFlight(l.id); ok {
				facts = append(facts, succeeded(id, kind, l))
			}
		}
	})
	d.next = 0
	if err := write(ctx, d.bus.Log(), facts); err != nil {
		return err
	}
	return d.view.CatchUp(ctx)
}

func succeeded(id fleet.ActionID, kind fleet.ActionType, l *life) *events.Event {
	return &events.Event{
		ID: string(id) + "-done", Source: events.SourceExecutor, Type: events.TypeActionSucceeded, Node: l.id, Time: l.at,
		Data: &events.ActionSucceeded{Type: kind, ID: l.id, Action: id},
	}
}

func runLoopLatency(ctx context.Context, r *run) error {
	d, err := r.decider(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	rounds := r.pick(800, 250, 3)
	var bare, ours []time.Duration
	for range rounds { // in turns, so that what disturbs one disturbs both
		for _, one := range []struct {
			to    *[]time.Duration
			round func(context.Context, int) error
		}{{&bare, d.bare.Round}, {&ours, d.round}} {
			began := time.Now()
			if err := one.round(ctx, 1); err != nil {
				return err
			}
			*one.to = append(*one.to, time.Since(began))
		}
	}
	for name, p := range map[string]float64{"loop/latency/p50": 0.5, "loop/latency/p99": 0.99} {
		r.compare(name, percentile(ours, p), percentile(bare, p), rounds)
	}
	return nil
}

// percentile in milliseconds: that part of the durations is not longer.
func percentile(of []time.Duration, p float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	at := min(int(p*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at]) / float64(time.Millisecond)
}

func runLoopThroughput(ctx context.Context, r *run) error {
	d, err := r.decider(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	rounds := r.pick(12, 4, 1)
	const changes = loopNodes
	var bare, ours time.Duration
	for range rounds {
		if err := d.heal(ctx); err != nil {
			return err
		}
		began := time.Now()
		if err := d.bare.Round(ctx, changes); err != nil {
			return err
		}
		bare += time.Since(began)
		began = time.Now()
		if err := d.round(ctx, changes); err != nil {
			return err
		}
		ours += time.Since(began)
	}
	n := rounds * changes
	r.compare("loop/throughput", float64(n)/ours.Seconds(), float64(n)/bare.Seconds(), n)
	return nil
}
