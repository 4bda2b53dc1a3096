package standalone

import (
	"context"
	"errors"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli/announce"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Run senses, plans and acts until ctx ends or something cannot go on.
func (f *Fleet) Run(ctx context.Context) error {
	// The view outlives planner and executor: what they append while they stop
	// is still folded and shown.
	viewCtx, stopView := context.WithCancel(context.WithoutCancel(ctx))
	viewDone := make(chan error, 1)
	go func() { viewDone <- f.view.Run(viewCtx) }()
	defer func() {
		stopView()
		<-viewDone
	}()

	// The last thing while the view still runs, or a snapshot would lack the end.
	defer func() { snapshots.Finish(ctx, f.bus, f.saver) }()
	defer announce.Planner(f.bus, f.view, f.planner, f.options.Logger)()
	defer announce.Executor(f.hands, f.view, &f.running, f.options.Logger)()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.planner.Run(ctx) })
	g.Go(func() error { return f.refusals.OfFile(ctx, f.act(ctx)) })
	g.Go(func() error { return f.refusals.OfFile(ctx, f.publishTrust(ctx)) })
	g.Go(func() error { return f.admitApplied(ctx) })
	g.Go(func() error { f.saver.Run(ctx); return nil })
	g.Go(func() error { f.refusals.Run(ctx); return nil })
	g.Go(func() error { f.busRefusals.Run(ctx); return nil })
	g.Go(func() error { return f.hearBus(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-viewDone:
			viewDone <- err
			return err
		}
	})
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// hearBus records what the server and its streams refuse.
func (f *Fleet) hearBus(ctx context.Context) error {
	stop, err := f.bus.WatchHeaders(ctx, func(id fleet.NodeID, err error) { f.busRefusals.Add(events.RefusedBus, id, err) })
	if err != nil {
		return err
	}
	defer stop()
	f.busRefusals.HearBus(ctx, &f.refusedOn, nil)
	return nil
}

// publishTrust rotates issuers, and tells nodes and others whom to trust.
func (f *Fleet) publishTrust(ctx context.Context) error {
	if err := f.view.CatchUp(ctx); err != nil {
		return err
	}
	publisher := &authority.Publisher{Issuers: f.issuers, Bus: f.bus, Dir: filepath.Join(f.options.Dir, "trust")}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.issuers.Run(ctx, f.view) })
	g.Go(func() error { return publisher.Run(ctx, f.view) })
	return g.Wait()
}

// act brings back the agents that the log calls present, then executes.
func (f *Fleet) act(ctx context.Context) error {
	if err := f.admitObserved(ctx); err != nil {
		return err
	}
	if f.driver != nil {
		if err := f.driver.ResumePresent(ctx, f.view); err != nil {
			return err
		}
	}
	return f.execute(ctx)
}

// execute needs the trust domain for its CA, and so waits for an inventory.
func (f *Fleet) execute(ctx context.Context) error {
	config := handlers.Config{
		Log: f.hands.Log(), View: f.view, Inventories: f.inventories, Commands: f.hands,
		Attest: f.attest.Verifiers(), Issuers: f.issuers, EnrollTimeout: f.options.EnrollTimeout, Refusals: f.refusals, Logger: f.options.Logger,
	}
	if f.driver != nil {
		config.Driver = f.driver
	}
	set, err := handlers.New(ctx, config)
	if err != nil {
		return err
	}
	renewer, err := handlers.NewRenewer(config, f.hands, nil)
	if err != nil {
		return err
	}
	e, err := executor.New(executor.Config{
		Log: f.hands.Log(), View: f.view, Inventories: f.inventories, Actions: f.actions, Handlers: set,
		Concurrency: f.options.Concurrency, Running: &f.running, Logger: f.options.Logger,
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.Run(ctx) })
	g.Go(func() error { return renewer.Run(ctx) })
	return g.Wait()
}
