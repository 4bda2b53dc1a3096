package executorcmd

import (
	"context"
	"crypto"
	"fmt"
	"path/filepath"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli/announce"
	"github.com/fleetfold/fleetfold/internal/cli/follow"
	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/jointoken"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/refusals"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// work is what an executor does on a bus, and what it counts.
type work struct {
	*flags
	verifiers attest.Verifiers
	evidence  *attest.Local // of the agents that it runs itself
	signers   []crypto.Signer
	metrics   *executor.Metrics
	renewals  *handlers.RenewalMetrics
	gap       follow.Gap
	logger    zerolog.Logger

	// From here on it has a bus.
	bus         *eventlog.Bus
	view        *view.View
	inventories *view.Inventories
	actions     eventlog.Actions
	driver      handlers.Driver
	issuers     *authority.Issuers
	refusals    *refusals.Recorder
}

// run takes up actions and requests.
func (w *work) run(ctx context.Context, bus *eventlog.Bus, ready *obs.Gate) (err error) {
	var stop func()
	if w.driver, stop, err = w.newDriver(bus.URL(), w.evidence, w.logger); err != nil {
		return err
	}
	defer stop()
	if w.actions, err = bus.Actions(ctx, w.concurrency, executor.DefaultAckWait); err != nil {
		return fmt.Errorf("consume actions: %w", err)
	}
	defer w.actions.Close()
	if err := w.assemble(bus); err != nil {
		return err
	}
	defer announce.Executor(bus, w.view, &w.running, w.logger)()
	ready.Open(obs.Follows(bus, w.view))
	w.logger.Info().Str(field.URL, bus.URL()).Str("driver", *w.flags.driver).Str(field.Dir, w.dir).Msg("executor started")
	defer func() { w.logger.Info().Msg("executor stopped") }()
	return follow.Run(ctx, w.view, w.gap, w.logger, func(ctx context.Context) error {
		return w.refusals.OfFile(ctx, w.execute(ctx))
	}, func(ctx context.Context) error {
		return w.refusals.OfFile(ctx, w.ca.publish(ctx, bus, w.view, w.issuers))
	}, func(ctx context.Context) error {
		w.refusals.Run(ctx)
		return nil
	})
}

// assemble makes the fold and what must know it before it runs.
func (w *work) assemble(bus *eventlog.Bus) (err error) {
	w.bus, w.view, w.inventories = bus, snapshots.View(bus, w.logger), view.NewInventories(bus.GetInventory)
	w.refusals, err = refusals.New(refusals.Config{Log: bus.Log(), View: w.view, Source: events.SourceExecutor, Logger: w.logger})
	if err != nil {
		return err
	}
	w.view.OnRecord(func(r eventlog.Record, _ projection.Change) { w.refusals.OnRecord(r) })
	w.issuers, err = authority.New(authority.Config{
		Log: bus.Log(), View: w.view, Inventories: w.inventories, Dir: filepath.Join(w.dir, "ca"), Signers: w.signers, Logger: w.logger,
	})
	return err
}

// execute handles actions and requests until ctx ends.
func (w *work) execute(ctx context.Context) error {
	config := handlers.Config{
		Log: w.bus.Log(), View: w.view, Inventories: w.inventories, Commands: w.bus, Driver: w.driver, Attest: w.verifiers,
		Issuers: w.issuers, EnrollTimeout: w.enrollTimeout, Refusals: w.refusals, Logger: w.logger,
	}
	if w.attest.asksForTokens() {
		config.Tokens = jointoken.Tokens{Store: w.bus}
	}
	set, err := handlers.New(ctx, config)
	if err != nil {
		return err
	}
	renewer, err := handlers.NewRenewer(config, w.bus, w.renewals)
	if err != nil {
		return err
	}
	if local, ok := w.driver.(*handlers.Local); ok {
		if err := local.ResumePresent(ctx, w.view); err != nil {
			return err
		}
	}
	e, err := executor.New(executor.Config{
		Log: w.bus.Log(), View: w.view, Inventories: w.inventories, Actions: w.actions, Handlers: set,
		Concurrency: w.concurrency, Running: &w.running, Logger: w.logger, Observe: w.metrics.Observe,
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.Run(ctx) })
	g.Go(func() error { return renewer.Run(ctx) })
	return g.Wait()
}
