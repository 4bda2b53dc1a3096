package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/simulate"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

func presenceBenchmarks() []Benchmark {
	const cores = "of a planner that is a process of its own, on a server and with nodes in this one"
	return []Benchmark{
		{
			Rows: []Row{
				{Name: "presence/100000", Unit: "cores", Bound: atMost(0.3, 0.1), Help: "100,000 nodes with a heartbeat each 10 s and an inventory in force: processor time a second " + cores},
				{Name: "presence/100000/lost", Unit: "nodes", Bound: none, Help: "nodes of these that the log called lost although their lease ran"},
			},
			run: func(ctx context.Context, r *run) error {
				return r.presence(ctx, "presence/100000", watched{
					nodes: r.pick(100_000, 100_000, 1000), interval: r.beatEach(10 * time.Second), ramp: r.span(10, 4, 1), watch: r.span(60, 8, 2),
				})
			},
		},
		{
			Rows: []Row{
				{Name: "presence/1000000", Unit: "cores", Bound: atMost(1, 0.3), Help: "the same with one million nodes, a heartbeat each 60 s and no inventory"},
				{Name: "presence/1000000/lost", Unit: "nodes", Bound: none, Help: "nodes of these that the log called lost although their lease ran"},
				{Name: "presence/1000000/rate", Unit: "beats/s", Bound: atLeast(16_000, 33_000), Help: "heartbeats of theirs that were stored in a second"},
				{Name: "presence/1000000/memory", Unit: "MB", Help: "memory of the planner's process meanwhile"},
				{Name: "presence/1000000/rest", Unit: "cores", Help: "what the server and the simulated nodes take together, in this process"},
			},
			Slow: true,
			run: func(ctx context.Context, r *run) error {
				return r.presence(ctx, "presence/1000000", watched{
					nodes: r.pick(1_000_000, 0, 1000), interval: r.beatEach(time.Minute), ramp: r.span(60, 0, 1), watch: r.span(90, 0, 2), planless: true,
				})
			},
		},
		{
			Rows: []Row{
				{Name: "mass/100000", Unit: "ms", Bound: atMost(1000, 1000), Help: "longest wait for the planner's answer to `fleetfold status` while 100,000 leases end at once"},
				{Name: "mass/100000/folded", Unit: "s", Help: "from the first of these nodes that the log calls lost to the last"},
				{Name: "mass/100000/held", Unit: "nodes", Bound: atLeast(1, 1), Help: "enrolments that are held as blind afterwards"},
			},
			Slow: true,
			run:  runMass,
		},
	}
}

// none is a bound that only zero meets.
var none = Bound{Must: 0, Aim: 0, exact: true}

// span is one of three times in seconds.
func (r *run) span(full, quick, once int) time.Duration {
	return time.Duration(r.pick(full, quick, once)) * time.Second
}

// beatEach is the time between heartbeats, but in tests of the benchmark.
func (r *run) beatEach(d time.Duration) time.Duration {
	if r.effort == once {
		return time.Second
	}
	return d
}

// watched is a fleet of which only presence counts.
type watched struct {
	nodes                 int
	interval, ramp, watch time.Duration
	// planless: no inventory is in force, and nothing is decided.
	planless bool
}

// crowd is such a fleet at work: a planner in a process of its own, and nodes in
// this one on a connection of theirs.
type crowd struct {
	*rig
	planner *process
	sim     *simulate.Simulation
	nodes   *eventlog.Bus
	ended   chan error
	stop    context.CancelFunc
}

// crowd returns once the log has called every node present.
func (r *run) crowd(ctx context.Context, w watched) (_ *crowd, err error) {
	g, err := r.listening(ctx)
	if err != nil {
		return nil, err
	}
	c := &crowd{rig: g, ended: make(chan error, 1), stop: func() {}}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	config := simulate.Config{
		Nodes: w.nodes, Interval: w.interval, Ramp: w.ramp, Seed: 1, PresenceOnly: true, InFlight: 1 << 14, Vanish: true, Logger: zerolog.Nop(),
	}
	if !w.planless {
		if err := c.applySimulated(ctx, config); err != nil {
			return nil, err
		}
	}
	if c.planner, err = r.spawnPlanner(ctx, g.server.URL(), config.AskedLease()); err != nil {
		return nil, err
	}
	if c.nodes, err = eventlog.Connect(ctx, eventlog.Options{URL: g.server.URL(), Name: "fleetfold bench nodes"}); err != nil {
		return nil, err
	}
	config.Bus = c.nodes
	if c.sim, err = simulate.New(config); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	c.stop = stop
	go func() {
		_, err := c.sim.Run(running)
		c.ended <- err
	}()
	return c, c.until(ctx, func(s simulate.Summary) bool { return s.Appeared >= uint64(w.nodes) })
}

func (c *crowd) applySimulated(ctx context.Context, config simulate.Config) error {
	text, err := config.InventoryText(simulate.Inventory{TrustDomain: "bench.example", Regions: 10, TTL: "1h", Before: "15m"})
	if err != nil {
		return err
	}
	return c.applyText(ctx, text)
}

// look is how often it is looked whether something has come about.
const look = 50 * time.Millisecond

// standstill is how long the log may say nothing of the nodes while something is
// waited for: longer than any lease here.
const standstill = 4 * time.Minute

// until waits for something that the simulation tells of.
func (c *crowd) until(ctx context.Context, holds func(simulate.Summary) bool) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var said uint64
	since := time.Now()
	for sum := c.sim.Summary(); !holds(sum); sum = c.sim.Summary() {
		if now := sum.Appeared + sum.Lost; now != said {
			said, since = now, time.Now()
		}
		if time.Since(since) > standstill {
			return fmt.Errorf("nothing goes on at %+v; the planner says: %s", sum, c.planner.said())
		}
		select {
		case <-tick.C:
		case err := <-c.ended:
			c.ended <- err
			return fmt.Errorf("the simulation has ended: %w", err)
		case err := <-c.planner.ended:
			c.planner.ended <- err
			return fmt.Errorf("the planner has ended: %w: %s", err, c.planner.said())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (c *crowd) close() {
	c.stop()
	if c.sim != nil {
		<-c.ended
	}
	if c.planner != nil {
		c.planner.stop()
	}
	if c.nodes != nil {
		c.nodes.Close()
	}
	c.rig.close()
}

// pass waits for a time; ctx ends it.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *run) presence(ctx context.Context, name string, w watched) error {
	c, err := r.crowd(ctx, w)
	if err != nil {
		return err
	}
	defer c.close()
	before, err := c.planner.metrics(ctx)
	if err != nil {
		return err
	}
	beats, began, own := c.sim.Summary().Acknowledged, time.Now(), ownCPU()
	if err := pass(ctx, w.watch); err != nil {
		return err
	}
	after, err := c.planner.metrics(ctx)
	if err != nil {
		return err
	}
	took, sum := time.Since(began).Seconds(), c.sim.Summary()
	r.add(name, (after["process_cpu_seconds_total"]-before["process_cpu_seconds_total"])/took, w.nodes)
	r.add(name+"/lost", float64(sum.FalseLosses), w.nodes)
	if name == "presence/1000000" {
		r.add(name+"/rate", float64(sum.Acknowledged-beats)/took, w.nodes)
		r.add(name+"/memory", after["process_resident_memory_bytes"]/1e6, w.nodes)
		r.add(name+"/rest", (ownCPU()-own)/took, w.nodes)
	}
	return nil
}
