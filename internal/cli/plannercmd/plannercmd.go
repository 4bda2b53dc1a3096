// Package plannercmd is the planner as a command: cmd/planner runs it.
package plannercmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/announce"
	"github.com/fleetfold/fleetfold/internal/cli/follow"
	"github.com/fleetfold/fleetfold/internal/cli/inventoryfile"
	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
	"github.com/fleetfold/fleetfold/pkg/view"
)

type flags struct {
	nats              cli.NATSFlags
	log               cli.LogFlags
	monitor           cli.MonitorFlags
	inventory, listen string
	lease             time.Duration
	replicas          int
	policy            engine.Policy
	safeguards        engine.Safeguards
	snapshots         snapshots.Flags
}

// New returns the command.
func New() *cobra.Command {
	f := flags{policy: engine.DefaultPolicy(), safeguards: engine.DefaultSafeguards()}
	cmd := &cobra.Command{
		Use:   "planner",
		Short: "Sense, fold, reconcile and publish plans",
		Long: `The planner turns leases and proofs of nodes into facts on the log, decides on
each change what lies between the inventory and the fleet, and publishes the
actions. Any number of planners may run side by side.`,
		Example: `  planner --nats nats://127.0.0.1:4222 --inventory fleet.yaml
  planner --context prod --inventory /etc/fleetfold/fleet.yaml --listen :8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	f.nats.AddTo(fs)
	f.log.AddTo(fs)
	f.monitor.AddTo(fs)
	fs.StringVar(&f.inventory, "inventory", "", "`FILE` to watch; each valid edit is put into force once, so that it never overrules a later 'fleetfold apply'. Without it others apply inventories")
	fs.StringVar(&f.listen, "listen", "", "`ADDRESS` for /healthz, /readyz and /metrics, such as :8080; empty means none")
	fs.DurationVar(&f.lease, "lease", 15*time.Second, "longest lease that agents ask for, 1s to 1h: this `DURATION` after a start nobody is called lost")
	fs.IntVar(&f.replicas, "replicas", 0, "`N` replicas of the streams when they are created, 1, 3 or 5; without it 3 in a cluster, 1 elsewhere")
	fs.IntVar(&f.policy.MaxInFlight, "max-in-flight", f.policy.MaxInFlight, "most actions without an outcome, `N` of 1 to 999")
	fs.DurationVar(&f.policy.BackoffBase, "backoff-base", f.policy.BackoffBase, "`DURATION` before the second attempt, above 0, doubled by each further failure")
	fs.DurationVar(&f.policy.BackoffCap, "backoff-cap", f.policy.BackoffCap, "longest `DURATION` between attempts, --backoff-base to 24h")
	fs.IntVar(&f.policy.StuckAfter, "stuck-after", f.policy.StuckAfter, "failures in a row, `N` of 1 to 100, after which an action is shown as stuck; it is tried on all the same")
	f.addSafeguards(fs)
	f.snapshots.AddTo(fs)
	return cmd
}

func (f *flags) addSafeguards(fs *pflag.FlagSet) {
	g := &f.safeguards
	fs.IntVar(&g.RemovalMin, "removal-min", g.RemovalMin, "most decommissions, `N` of 0 to 1000000, that a plan may ask for without approval")
	fs.Float64Var(&g.RemovalFraction, "removal-fraction", g.RemovalFraction, "the same as a `PART` of the observed nodes, 0 to 1; the larger of both counts")
	fs.Float64Var(&g.BlindFraction, "blind-fraction", g.BlindFraction, "when more than this `PART` of a region or the fleet is lost, 0 to 1, the planner takes itself to be blind; 1 means never")
	fs.IntVar(&g.BlindMin, "blind-min", g.BlindMin, "fewest lost nodes, `N` of 1 to 1000000, for that")
	fs.DurationVar(&g.LostWait, "lost-wait", g.LostWait, "`DURATION` for which a lost node is not enrolled again, 0s to 1h: the time between two heartbeats, a third of the lease")
	fs.Float64Var(&g.FlapThreshold, "flap-threshold", g.FlapThreshold, "a node is not enrolled again above this `PENALTY`, 1 to 15; each loss adds 1")
	fs.DurationVar(&g.FlapHalfLife, "flap-half-life", g.FlapHalfLife, "`DURATION` in which a penalty falls by half, 1s to 24h")
}

func (f *flags) check() error {
	switch {
	case f.lease < time.Second || f.lease > time.Hour:
		return cli.Usagef("--lease is %s, must be 1s to 1h", f.lease)
	case f.replicas != 0 && f.replicas != 1 && f.replicas != 3 && f.replicas != 5:
		return cli.Usagef("--replicas is %d, must be 1, 3 or 5", f.replicas)
	}
	if f.policy.StuckAfter == 0 {
		return cli.Usagef("--stuck-after is 0, must be 1 to %d", engine.MaxStuckAfter)
	}
	return cli.UsageError(errors.Join(f.policy.Validate(), f.safeguards.Validate(), f.monitor.Check()))
}

func (f *flags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	logger := f.log.Logger(cmd.ErrOrStderr())
	options, err := f.nats.Options("planner")
	if err != nil {
		return err
	}
	options.Replicas, options.Logger = f.replicas, cli.BusLogger(logger)
	bus, err := eventlog.Connect(cmd.Context(), options)
	if err != nil {
		return err
	}
	defer bus.Close()
	if err := bus.EnsureStreams(cmd.Context()); err != nil {
		return err
	}
	metrics := planner.NewMetrics()
	f.checkDurability(cmd.Context(), bus, metrics, logger)
	return f.serve(cmd.Context(), bus, metrics, logger)
}

// serve runs view, planner, file watch and HTTP server until one cannot go on.
func (f *flags) serve(ctx context.Context, bus *eventlog.Bus, metrics *planner.Metrics, logger zerolog.Logger) error {
	sightings, err := bus.Sightings(ctx)
	if err != nil {
		return fmt.Errorf("watch leases: %w", err)
	}
	defer sightings.Close()
	statements, err := bus.Statements(ctx)
	if err != nil {
		return fmt.Errorf("watch statements: %w", err)
	}
	defer statements.Close()

	v, saved := snapshots.View(bus, logger), snapshot.NewMetrics()
	p, err := planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: view.NewInventories(bus.GetInventory),
		Sightings: sightings, Statements: statements, Lease: f.lease, Policy: f.policy, Safeguards: f.safeguards,
		Metrics: metrics, Logger: logger,
	})
	if err != nil {
		return err
	}
	defer announce.Planner(bus, v, p, logger)()
	saver := snapshots.Saver(bus, v, f.snapshots.Every, saved, logger)
	gap := follow.NewGap()
	work := []func(context.Context) error{p.Run, func(ctx context.Context) error { saver.Run(ctx); return nil }}
	if f.inventory != "" {
		work = append(work, func(ctx context.Context) error { return f.watch(ctx, bus, v, logger) })
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return follow.Run(ctx, v, gap, logger, work...) })
	if f.listen != "" {
		ready := obs.All(obs.Follows(bus, v), p.Trouble)
		g.Go(func() error {
			return obs.Serve(ctx, f.listen, obs.Checks{Ready: ready}, obs.Collectors{metrics, saved, gap}, logger)
		})
	}
	logger.Info().Str(field.URL, bus.URL()).Dur(field.Lease, f.lease).Msg("planner started")
	err = g.Wait()
	snapshots.Finish(ctx, bus, saver)
	logger.Info().Msg("planner stopped")
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (f *flags) watch(ctx context.Context, bus *eventlog.Bus, v *view.View, logger zerolog.Logger) error {
	return inventoryfile.Follower{
		Path: f.inventory,
		Unreadable: func(err error) {
			logger.Error().Err(err).Str(field.Path, f.inventory).Msg("cannot read inventory, the last good one stays in force")
		},
		Checked: func(rep inventory.Report) {
			for _, p := range rep.Warnings {
				problem(logger.Warn(), f.inventory, p).Msg("inventory warning")
			}
			for _, p := range rep.Errors {
				problem(logger.Error(), f.inventory, p).Msg("inventory is not valid, the last good one stays in force")
			}
		},
		Apply: func(ctx context.Context, text []byte, _ *fleet.Inventory, current func() error) error {
			generation, applied, err := planner.ApplyWhile(ctx, current, bus, bus.Log(), v, text, inventoryfile.Actor(), "from "+f.inventory, time.Now())
			if applied {
				logger.Info().Uint64(field.Generation, generation).Str(field.Path, f.inventory).Msg("inventory applied")
			}
			return err
		},
		Failed: func(err error) {
			logger.Error().Err(err).Dur(field.Wait, inventoryfile.Again).Msg("cannot apply inventory, trying again")
		},
		Once: f.once(bus, v, logger),
	}.Run(ctx)
}

// once keeps a planner from bringing back an older inventory: the text of its
// file was in force, and somebody has applied another one since.
func (f *flags) once(bus *eventlog.Bus, v *view.View, logger zerolog.Logger) *inventoryfile.Once {
	return &inventoryfile.Once{
		Generation: func() (generation uint64) {
			v.Read(func(st *projection.State) { generation = st.Inventory().Generation })
			return generation
		},
		AppliedSince: func(ctx context.Context, text []byte, since uint64) (bool, error) {
			var last uint64
			v.Read(func(st *projection.State) { last = st.LastInventory() })
			return planner.AppliedSince(ctx, bus, bus.Log().Subjects(), text, since, last)
		},
		Passed: func() {
			logger.Warn().Str(field.Path, f.inventory).
				Msg("the file was in force before and another inventory is now: not bringing it back; edit it, or use 'fleetfold apply'")
		},
	}
}

// problem leaves out the line and the place of what concerns the whole file.
func problem(e *zerolog.Event, file string, p inventory.Problem) *zerolog.Event {
	e = e.Str(field.Path, file)
	if p.Line > 0 {
		e = e.Int("line", p.Line)
	}
	if p.Path != "" {
		e = e.Str("at", p.Path)
	}
	return e.Str("tag", p.Tag).Str(field.Reason, p.Message)
}
