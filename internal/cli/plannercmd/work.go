package plannercmd

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/cli/announce"
	"github.com/fleetfold/fleetfold/internal/cli/follow"
	"github.com/fleetfold/fleetfold/internal/cli/inventoryfile"
	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/checkpoint"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// work is what a planner does on a bus, and what it counts.
type work struct {
	*flags
	metrics *planner.Metrics
	saved   *snapshot.Metrics
	gap     follow.Gap
	signed  *checkpoint.Metrics
	logger  zerolog.Logger
}

// run watches leases and statements, plans on them, and saves the fold.
func (w work) run(ctx context.Context, bus *eventlog.Bus, ready *obs.Gate) error {
	w.checkDurability(ctx, bus, w.metrics, w.logger)
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

	v := snapshots.View(bus, w.logger)
	p, err := planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: view.NewInventories(bus.GetInventory),
		Sightings: sightings, Statements: statements, Paces: bus, HeartbeatRate: w.heartbeatRate, Lease: w.lease, Policy: w.policy, Safeguards: w.safeguards,
		Shard: w.shard, Metrics: w.metrics, Logger: w.logger,
	})
	if err != nil {
		return err
	}
	hearBus, err := w.hearBus(bus, v)
	if err != nil {
		return err
	}
	defer announce.Planner(bus, v, p, w.logger)()
	saver := snapshots.Saver(bus, v, w.snapshots.Every, w.saved, w.logger)
	ready.Open(obs.All(obs.Follows(bus, v), p.Trouble))
	w.logger.Info().Str(field.URL, bus.URL()).Dur(field.Lease, w.lease).Msg("planner started")
	defer func() { w.logger.Info().Msg("planner stopped") }()
	defer snapshots.Finish(ctx, bus, saver)
	return w.follow(ctx, bus, v, p, saver, hearBus)
}

// follow runs everything that works on the fold until one cannot go on.
func (w work) follow(ctx context.Context, bus *eventlog.Bus, v *view.View, p *planner.Planner, saver *snapshot.Saver, hearBus func(context.Context) error) error {
	all := []func(context.Context) error{p.Run, hearBus, func(ctx context.Context) error { saver.Run(ctx); return nil }}
	if w.inventory != "" {
		all = append(all, func(ctx context.Context) error { return w.watch(ctx, bus, v, w.logger) })
	}
	if keeper := w.checkpoints.keeper(bus.Log(), w.signed, w.logger); keeper != nil {
		all = append(all, keeper)
	}
	return follow.Run(ctx, v, w.gap, w.logger, all...)
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
