package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func executorBenchmarks() []Benchmark {
	return []Benchmark{{
		Rows: []Row{
			{
				Name: "executor/sequence", Unit: "actions/s", Bound: ratioAtLeast(0.6, 0.9),
				Help: "actions with an empty handler, one after another; the floor is a bare consume, publish, acknowledge",
			},
			{
				Name: "executor/phase", Unit: "actions/s", Bound: ratioAtLeast(5, 5),
				Help: "the same with 64 actions side by side; the floor is executor/sequence",
			},
		},
		run: runExecutor,
	}}
}

// planned is how many actions of one plan are carried out.
func (r *run) planned() int { return r.pick(engine.MaxInFlightLimit, engine.MaxInFlightLimit, 50) }

func runExecutor(ctx context.Context, r *run) error {
	rounds := r.pick(3, 1, 1)
	g, err := r.rig(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	w, err := g.work(ctx, r.planned())
	if err != nil {
		return err
	}
	var bare, sequence, phase time.Duration
	for i := range rounds {
		took, err := w.bare(ctx, i)
		if err != nil {
			return err
		}
		bare += took
		if took, err = w.carryOut(ctx, 1); err != nil {
			return err
		}
		sequence += took
		if !r.wants("executor/phase") {
			continue
		}
		if took, err = w.carryOut(ctx, 64); err != nil {
			return err
		}
		phase += took
	}
	n := rounds * w.planned
	rate := func(d time.Duration) float64 { return float64(n) / d.Seconds() }
	r.compare("executor/sequence", rate(sequence), rate(bare), n)
	if phase > 0 {
		r.compare("executor/phase", rate(phase), rate(sequence), n)
	}
	return nil
}

// work is a fleet whose nodes are present and cannot sign: one plan has an
// action for each, and an empty handler never changes that.
type work struct {
	*rig
	planned int               // actions of a plan
	known   *view.Inventories // a process reads an inventory once
	action  events.Message    // one of them, and what ends it
	outcome events.Message
}

func (g *rig) work(ctx context.Context, planned int) (*work, error) {
	if err := g.apply(ctx, planned); err != nil {
		return nil, err
	}
	_, facts := lives(planned, false)
	if err := write(ctx, g.bus.Log(), facts); err != nil {
		return nil, err
	}
	w := &work{rig: g, planned: planned, known: view.NewInventories(g.bus.GetInventory)}
	if _, err := w.carryOut(ctx, 64); err != nil { // warms up, and shows what the messages look like
		return nil, err
	}
	if err := g.bare.Stream(ctx, "WORK"); err != nil {
		return nil, err
	}
	return w, w.look(ctx)
}

// look finds an action on the log and an outcome.
func (w *work) look(ctx context.Context) error {
	last, err := w.bus.Log().Last(ctx)
	if err != nil {
		return err
	}
	outcome, err := w.stored(ctx, last)
	if err != nil {
		return err
	}
	action, err := w.stored(ctx, last-uint64(w.planned))
	if err != nil {
		return err
	}
	if !action.Event.Type.IsAction() {
		return fmt.Errorf("sequence %d is a %s and no action", action.Sequence, action.Event.Type)
	}
	w.action, w.outcome = action.Message, outcome.Message
	return nil
}

func (w *work) bare(ctx context.Context, round int) (time.Duration, error) {
	if err := w.rig.bare.Fill(ctx, "WORK", w.action, w.planned); err != nil {
		return 0, err
	}
	began := time.Now()
	err := w.rig.bare.Work(ctx, "WORK", w.outcome, round*w.planned, w.planned)
	return time.Since(began), err
}

// carryOut publishes a plan as a planner does and returns how long an executor
// takes for it.
func (w *work) carryOut(ctx context.Context, concurrency int) (time.Duration, error) {
	if err := w.publish(ctx); err != nil {
		return 0, err
	}
	v := view.New(w.bus.Log())
	running, cancel := context.WithCancel(ctx)
	folding := make(chan struct{})
	go func() { defer close(folding); _ = v.Run(running) }()
	defer func() { cancel(); <-folding }()
	if err := v.CatchUp(ctx); err != nil {
		return 0, err
	}
	actions, err := w.bus.Actions(ctx, concurrency, time.Minute)
	if err != nil {
		return 0, err
	}
	defer actions.Close()
	return w.run(running, cancel, v, actions, concurrency)
}

func (w *work) run(ctx context.Context, cancel context.CancelFunc, v *view.View, actions executor.Actions, concurrency int) (time.Duration, error) {
	outcomes := make(chan executor.Outcome, w.planned)
	e, err := executor.New(executor.Config{
		Log: w.bus.Log(), View: v, Inventories: w.known, Actions: actions, Concurrency: concurrency,
		Handlers: map[fleet.ActionType]executor.Handler{fleet.IssueCredential: executor.HandlerFunc(nothing)},
		AckWait:  time.Minute, Observe: func(o executor.Outcome) { outcomes <- o }, Logger: zerolog.Nop(),
	})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for range w.planned {
		select {
		case o := <-outcomes:
			if o.Kind != executor.KindSucceeded {
				return 0, fmt.Errorf("an action ended as %s: %s", o.Kind, o.Reason)
			}
		case err := <-done:
			return 0, errors.Join(errors.New("the executor has stopped"), err)
		}
	}
	took := time.Since(began)
	cancel()
	return took, <-done
}

func nothing(context.Context, executor.Task) (executor.Result, error) {
	return executor.Result{}, nil
}

// publish lets a planner decide once: an action for each node.
func (w *work) publish(ctx context.Context) error {
	seen, unwatch, err := w.watchActions(ctx)
	if err != nil {
		return err
	}
	defer unwatch()
	_, stop, err := w.startPlanner(ctx)
	if err != nil {
		return err
	}
	defer stop()
	return await(ctx, seen, w.planned)
}
