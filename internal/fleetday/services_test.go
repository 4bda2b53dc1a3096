package fleetday

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// planner is what cmd/planner runs, with its defaults.
func (r *rig) planner(ctx context.Context, l life) error {
	bus, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer bus.Close()
	sightings, err := bus.Sightings(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	defer sightings.Close()
	statements, err := bus.Statements(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	defer statements.Close()
	v := view.New(bus.Log())
	p, err := planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: view.NewInventories(bus.GetInventory),
		Sightings: sightings, Statements: statements, Lease: lease,
		Policy: engine.DefaultPolicy(), Safeguards: engine.DefaultSafeguards(), Logger: l.log,
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return follow(ctx, v) })
	g.Go(func() error { return p.Run(ctx) })
	return g.Wait()
}

// follow runs a view, which may end only before it has found the log.
func follow(ctx context.Context, v *view.View) error {
	err := v.Run(ctx)
	if err != nil && !v.CaughtUp() {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	return err
}

// executor is what cmd/executor runs, with its defaults, for agents that others
// bring up. Both executors share the root issuer, as the command asks for.
func (r *rig) executor(ctx context.Context, l life) error {
	bus, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer bus.Close()
	actions, err := bus.Actions(ctx, executor.DefaultConcurrency, executor.DefaultAckWait)
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	defer actions.Close()
	v := view.New(bus.Log())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return follow(ctx, v) })
	g.Go(func() error { return r.execute(ctx, l, bus, v, actions) })
	return g.Wait()
}

func (r *rig) execute(ctx context.Context, l life, bus *eventlog.Bus, v *view.View, actions executor.Actions) error {
	inventories := view.NewInventories(bus.GetInventory)
	config := handlers.Config{
		Log: bus.Log(), View: v, Inventories: inventories, Commands: bus,
		CADir: filepath.Join(r.dir, "ca"), Attest: r.clients.Verifiers(), Logger: l.log,
	}
	set, err := handlers.New(ctx, config)
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	for kind, h := range set {
		set[kind] = r.runs.noting(l.name, h)
	}
	e, err := executor.New(executor.Config{
		Log: bus.Log(), View: v, Inventories: inventories, Actions: actions, Handlers: set, Logger: l.log,
	})
	if err != nil {
		return err
	}
	if !r.renews {
		return e.Run(ctx)
	}
	renewer, err := handlers.NewRenewer(config, bus, nil)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return renewer.Run(ctx) })
	g.Go(func() error { return e.Run(ctx) })
	return g.Wait()
}

// agent is what cmd/node-agent runs, with its defaults.
func (r *rig) agent(id fleet.NodeID) func(context.Context, life) error {
	return func(ctx context.Context, l life) (err error) {
		if err := r.clients.Equip(id, r.folder(id)); err != nil {
			return err
		}
		a, err := agent.Open(agent.Config{Node: id, Dir: r.folder(id), Evidence: attest.ProversIn(r.folder(id)).Prove}, l.log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		bus, err := agent.Dial(ctx, func(ctx context.Context) (agent.Bus, error) {
			return eventlog.Connect(ctx, eventlog.Options{InProcess: l.link, Name: l.name, Logger: l.busLogger()})
		}, l.log)
		if err != nil {
			return err
		}
		return a.Run(ctx, bus)
	}
}

// folder is where the node's agent keeps key and credential.
func (r *rig) folder(id fleet.NodeID) string { return filepath.Join(r.dir, "nodes", string(id)) }

// ran is one run of a handler.
type ran struct {
	executor string
	action   fleet.ActionID
	need     fleet.Action
	at       time.Time
}

// runs is who ran which action when.
type runs struct {
	mu  sync.Mutex
	all []ran
}

// noting lets the handler do its work and notes that it began.
func (n *runs) noting(name string, h executor.Handler) executor.Handler {
	f := executor.HandlerFunc(func(ctx context.Context, t executor.Task) (executor.Result, error) {
		n.mu.Lock()
		n.all = append(n.all, ran{name, t.Flight.ID, t.Flight.Action, time.Now()})
		n.mu.Unlock()
		return h.Handle(ctx, t)
	})
	if timed, ok := h.(executor.Timed); ok {
		return timedHandler{f, timed}
	}
	return f
}

type timedHandler struct {
	executor.Handler
	executor.Timed
}

// of are the runs for a need.
func (n *runs) of(need fleet.Action) (some []ran) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, run := range n.all {
		if run.need == need {
			some = append(some, run)
		}
	}
	return some
}
