// Package plannercmd is the planner as a command: cmd/planner runs it.
package plannercmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/follow"
	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/internal/cli/profile"
	"github.com/fleetfold/fleetfold/internal/cli/service"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/pkg/checkpoint"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

type flags struct {
	nats              cli.NATSFlags
	log               cli.LogFlags
	monitor           cli.MonitorFlags
	profiles          profile.Flags
	inventory, listen string
	shard             string
	lease             time.Duration
	heartbeatRate     int
	replicas          int
	policy            engine.Policy
	safeguards        engine.Safeguards
	snapshots         snapshots.Flags
	checkpoints       checkpointFlags
	busLogs           busLogFlags
}

// New returns the command.
func New() *cobra.Command {
	f := flags{policy: engine.DefaultPolicy(), safeguards: engine.DefaultSafeguards()}
	cmd := &cobra.Command{
		Use:   "planner",
		Short: "Sense, fold, reconcile and publish plans",
		Long: `The planner turns leases and proofs of nodes into facts on the log, decides on
each change what lies between the inventory and the fleet, and publishes the
actions. Any number of planners may run side by side. It waits for a server that
is away.`,
		Example: `  {path} --nats nats://127.0.0.1:4222 --inventory fleet.yaml
  {path} --context prod --inventory /etc/fleetfold/fleet.yaml --listen :8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	f.nats.AddTo(fs)
	f.log.AddTo(fs)
	f.profiles.AddTo(fs)
	f.monitor.AddTo(fs)
	fs.StringVar(&f.inventory, "inventory", "", "`FILE` to watch; each valid edit is put into force once, so that it never overrules a later 'fleetfold apply'. Without it others apply inventories")
	fs.StringVar(&f.listen, "listen", "", "`ADDRESS` for /healthz, /readyz and /metrics, such as :8080; empty means none")
	fs.DurationVar(&f.lease, "lease", 15*time.Second, "longest lease that agents ask for, 1s to 1h: this `DURATION` after a start nobody is called lost")
	fs.IntVar(&f.heartbeatRate, "heartbeat-rate", planner.DefaultHeartbeatRate, fmt.Sprintf("most heartbeats a second of all nodes together, `N` of 1 to %d: nodes are told to slow down as the fleet grows, and leases grow with that", planner.MaxHeartbeatRate))
	fs.StringVar(&f.shard, "shard", "", fmt.Sprintf("`NAME` of the shard that it decides on, 1 to %d letters, digits, \"_\" and \"-\", while 'fleetfold partition' has divided the fleet and named it; without one, all of a fleet that is not divided", fleet.MaxShardName))
	fs.IntVar(&f.replicas, "replicas", 0, "`N` replicas of the streams when they are created, 1, 3 or 5; without it 3 in a cluster, 1 elsewhere")
	fs.IntVar(&f.policy.MaxInFlight, "max-in-flight", f.policy.MaxInFlight, "most actions without an outcome, `N` of 1 to 999")
	fs.DurationVar(&f.policy.BackoffBase, "backoff-base", f.policy.BackoffBase, "`DURATION` before the second attempt, above 0, doubled by each further failure")
	fs.DurationVar(&f.policy.BackoffCap, "backoff-cap", f.policy.BackoffCap, "longest `DURATION` between attempts, --backoff-base to 24h")
	fs.IntVar(&f.policy.StuckAfter, "stuck-after", f.policy.StuckAfter, "failures in a row, `N` of 1 to 100, after which an action is shown as stuck; it is tried on all the same")
	f.addSafeguards(fs)
	f.snapshots.AddTo(fs)
	f.checkpoints.addTo(fs)
	f.busLogs.addTo(fs)
	return cmd
}

func (f *flags) addSafeguards(fs *pflag.FlagSet) {
	g := &f.safeguards
	fs.IntVar(&g.RemovalMin, "removal-min", g.RemovalMin, "most decommissions, `N` of 0 to 1000000, that a plan may ask for without approval")
	fs.Float64Var(&g.RemovalFraction, "removal-fraction", g.RemovalFraction, "the same as a `PART` of the observed nodes, 0 to 1; the larger of both counts")
	fs.Float64Var(&g.BlindFraction, "blind-fraction", g.BlindFraction, "when more than this `PART` of a region or the fleet is lost, 0 to 1, the planner takes itself to be blind; 1 means never")
	fs.IntVar(&g.BlindMin, "blind-min", g.BlindMin, "fewest lost nodes, `N` of 1 to 1000000, for that")
	fs.DurationVar(&g.LostWait, "lost-wait", g.LostWait, "`DURATION` for which a lost node is not enrolled again, 0s to 1h: the time between two heartbeats, a third of the lease. Where nodes are told a slower pace, it is the pace; 0s means never to wait")
	fs.Float64Var(&g.FlapThreshold, "flap-threshold", g.FlapThreshold, "a node is not enrolled again above this `PENALTY`, 1 to 15; each loss adds 1")
	fs.DurationVar(&g.FlapHalfLife, "flap-half-life", g.FlapHalfLife, "`DURATION` in which a penalty falls by half, 1s to 24h")
}

func (f *flags) check() error {
	switch {
	case f.lease < time.Second || f.lease > time.Hour:
		return cli.Usagef("--lease is %s, must be 1s to 1h", f.lease)
	case f.heartbeatRate < 1 || f.heartbeatRate > planner.MaxHeartbeatRate:
		return cli.Usagef("--heartbeat-rate is %d, must be 1 to %d", f.heartbeatRate, planner.MaxHeartbeatRate)
	case f.replicas != 0 && f.replicas != 1 && f.replicas != 3 && f.replicas != 5:
		return cli.Usagef("--replicas is %d, must be 1, 3 or 5", f.replicas)
	}
	if f.shard != "" {
		if err := fleet.CheckShardName(f.shard); err != nil {
			return cli.Usagef("--shard: %v", err)
		}
	}
	if f.policy.StuckAfter == 0 {
		return cli.Usagef("--stuck-after is 0, must be 1 to %d", engine.MaxStuckAfter)
	}
	return cli.UsageError(errors.Join(f.policy.Validate(), f.safeguards.Validate(), f.monitor.Check(), f.checkpoints.check(), f.busLogs.check(), f.profiles.Check()))
}

func (f *flags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	logger := f.log.Logger(cmd.ErrOrStderr())
	if err := f.checkpoints.load(); err != nil {
		return err
	}
	options, err := f.nats.Options("planner")
	if err != nil {
		return err
	}
	options.Replicas = f.replicas
	w := work{flags: f, metrics: planner.NewMetrics(), saved: snapshot.NewMetrics(), gap: follow.NewGap(), signed: checkpoint.NewMetrics(), logger: logger}
	return service.Service{
		Bus: options, Listen: f.listen, Profiles: f.profiles, Metrics: obs.Collectors{w.metrics, w.saved, w.gap, w.signed}, Logger: logger,
		Begin: func(ctx context.Context, bus *eventlog.Bus) error { return bus.EnsureStreams(ctx) },
		Work:  w.run,
	}.Run(cmd.Context())
}
