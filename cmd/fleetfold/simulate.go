package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/profile"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/simulate"
	"github.com/fleetfold/fleetfold/internal/standalone"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

type simulateFlags struct {
	nats     cli.NATSFlags
	log      cli.LogFlags
	profiles profile.Flags
	sim      simulate.Config
	kind     simulate.Inventory
	duration time.Duration
	dir      string
	embedded bool
	print    bool
	output   *string
}

func newSimulate() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate --nodes N",
		Short: "Play the agents of many nodes, to see what a fleet of that size takes",
		Long: `Play the agents of many nodes in this process: heartbeats, certificate requests,
proofs and renewals, over the fleet's real server. Planner and executors do not know
the difference.

Nodes are named sim-0000000 and so on. They die and come back by a schedule that
follows from --seed. A false loss is a node that the log called lost although its
acknowledged heartbeats had kept its lease running: there must be none. What the fleet
itself takes is seen where it runs ('fleetfold status', /metrics, --pprof).

Against a running fleet the process speaks for every node, so that the server must
let it: one that asks everybody who they are does not. --print-inventory prints an
inventory of the nodes; executors have to bring nobody up (--driver wait) and give
credentials for the evidence of DIR/attest-ca.crt (--attest-ca). With --embedded
server, planner and executor run in this process, too, and the inventory is applied.

The keys are drawn for each run. At the end the nodes say farewell.`,
		Example: `  # a whole fleet of 10,000 in this process, a tenth of which dies every minute
  fleetfold simulate --embedded --nodes 10000 --churn 0.1 --seed 7 --duration 2m

  # heartbeats only, on a running fleet
  fleetfold simulate --nats nats://127.0.0.1:4222 --nodes 100000 --presence-only

  # the inventory of the same nodes
  fleetfold simulate --nodes 100000 --print-inventory > fleet.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	f.addNodes(flags)
	flags.DurationVar(&f.duration, "duration", 0, "`DURATION` after which it ends, 0s or longer; 0s means at an interrupt, above 0 at that time")
	flags.StringVar(&f.dir, "dir", "", "`DIR` of the authority that vouches for the nodes and, with --embedded, of the fleet; default a temporary folder, removed at the end")
	flags.BoolVar(&f.embedded, "embedded", false, "run server, planner and executor in this process")
	flags.BoolVar(&f.print, "print-inventory", false, "print an inventory of the nodes, and do nothing else")
	flags.StringVar(&f.kind.TrustDomain, "trust-domain", "sim.example", "trust `DOMAIN` of the inventory")
	flags.IntVar(&f.kind.Regions, "regions", 10, "`N` regions of the inventory, 1 to 1000")
	flags.StringVar(&f.kind.TTL, "cred-ttl", "1h", "`DURATION` of credentials in the inventory, as an inventory writes it")
	flags.StringVar(&f.kind.Before, "renew-before", "15m", "`DURATION` before their end at which they are renewed, in the inventory")
	flags.BoolVar(&f.kind.Strict, "strict", true, "the inventory asks that nodes sign")
	f.output = addOutput(flags, "`FORMAT` of the summary at the end", "text", "json")
	f.nats.AddTo(flags)
	f.log.AddTo(flags)
	f.profiles.AddTo(flags)
	cli.SetDefault(flags, "log-level", "warn")
	return cmd
}

func (f *simulateFlags) addNodes(flags *pflag.FlagSet) {
	c := &f.sim
	flags.IntVar(&c.Nodes, "nodes", 0, fmt.Sprintf("`N` nodes, 1 to %d (required)", simulate.MaxNodes))
	flags.Float64Var(&c.Churn, "churn", 0, fmt.Sprintf("`PART` of the nodes that dies in a minute, 0 to %d; each comes back after --away", simulate.MaxChurn))
	flags.DurationVar(&c.Away, "away", simulate.DefaultAway, "`DURATION`, above 0, that a dead node is away on average")
	flags.Uint64Var(&c.Seed, "seed", 1, "`N` of 0 to 2^64-1 from which births, deaths, returns and jitter follow")
	flags.DurationVar(&c.Interval, "interval", simulate.DefaultInterval, "`DURATION` between two heartbeats of a node, 100ms to 30m; the fleet may ask for more")
	flags.DurationVar(&c.Lease, "lease", 0, "`DURATION` that each heartbeat counts for, in whole seconds, 1s to 1h; 0s means three intervals")
	flags.Float64Var(&c.Jitter, "jitter", agent.DefaultJitter, "`PART` of an interval, above 0 and up to 1, that may be left out at random")
	flags.IntVar(&c.InFlight, "in-flight", simulate.DefaultInFlight, "most heartbeats, `N` of 1 to 1000000, that wait for their acknowledgement")
	flags.BoolVar(&c.PresenceOnly, "presence-only", false, "heartbeats and nothing else: nodes without keys that answer nobody")
	flags.BoolVar(&c.Vanish, "vanish", false, "end without farewells, as if all nodes were cut off at once")
}

func (f *simulateFlags) check() error {
	switch {
	case f.kind.Regions < 1 || f.kind.Regions > 1000:
		return cli.Usagef("--regions is %d, must be 1 to 1000", f.kind.Regions)
	case f.duration < 0:
		return cli.Usagef("--duration is %s, must not be negative", f.duration)
	case f.sim.Away <= 0:
		return cli.Usagef("--away is %s, must be above 0", f.sim.Away)
	case f.sim.Jitter <= 0:
		return cli.Usagef("--jitter is %v, must be above 0", f.sim.Jitter)
	case f.sim.InFlight < 1 || f.sim.InFlight > 1_000_000:
		return cli.Usagef("--in-flight is %d, must be 1 to 1000000", f.sim.InFlight)
	case f.embedded && f.sim.PresenceOnly:
		return cli.Usagef("--embedded and --presence-only exclude each other: the planner would ask for credentials for ever")
	}
	return cli.UsageError(errors.Join(f.sim.Validate(), f.profiles.Check()))
}

func (f *simulateFlags) run(cmd *cobra.Command) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	if f.print {
		return f.sim.WriteInventory(cmd.OutOrStdout(), f.kind)
	}
	if f.dir == "" {
		if f.dir, err = os.MkdirTemp("", "fleetfold-simulate-"); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(f.dir)) }()
	} else if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	f.sim.Logger = f.log.Logger(cmd.ErrOrStderr())
	progress := simulateProgress(cmd.ErrOrStderr())
	f.sim.Observe = func(s simulate.Summary) { progress(s.Line()) }
	sum, err := f.profiled(cmd)
	progress("")
	if err != nil {
		return err
	}
	if *f.output == "json" {
		return render.JSON(cmd.OutOrStdout(), sum)
	}
	return sum.Write(cmd.OutOrStdout())
}

// profiled plays, and serves profiles meanwhile.
func (f *simulateFlags) profiled(cmd *cobra.Command) (sum simulate.Summary, err error) {
	g, ctx := errgroup.WithContext(cmd.Context())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error { return f.profiles.Serve(ctx, f.sim.Logger) })
	g.Go(func() (err error) {
		defer stop()
		if f.embedded {
			sum, err = f.inside(ctx, f.sim.Logger)
		} else {
			sum, err = f.outside(ctx, cmd)
		}
		return err
	})
	return sum, g.Wait()
}

// simulateProgress is benchProgress: one line on a terminal, nothing elsewhere.
func simulateProgress(w io.Writer) func(string) {
	if file, ok := w.(*os.File); !ok || !isatty.IsTerminal(file.Fd()) {
		return func(string) {}
	}
	return benchProgress(w)
}

// outside plays on a running fleet.
func (f *simulateFlags) outside(ctx context.Context, cmd *cobra.Command) (simulate.Summary, error) {
	bus, err := connect(ctx, cmd, &f.nats)
	if err != nil {
		return simulate.Summary{}, err
	}
	defer bus.Close()
	if !f.sim.PresenceOnly {
		vouches, err := attest.OpenLocal(f.dir, nil)
		if err != nil {
			return simulate.Summary{}, err
		}
		f.sim.Evidence = vouches.Prove
	}
	return f.play(ctx, bus)
}

func (f *simulateFlags) play(ctx context.Context, bus *eventlog.Bus) (simulate.Summary, error) {
	f.sim.Bus = bus
	s, err := simulate.New(f.sim)
	if err != nil {
		return simulate.Summary{}, err
	}
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	return s.Run(ctx)
}

// inside plays on a fleet that is started here, and ends it when it is done.
func (f *simulateFlags) inside(ctx context.Context, logger zerolog.Logger) (sum simulate.Summary, err error) {
	text, err := f.sim.InventoryText(f.kind)
	if err != nil {
		return sum, err
	}
	fleet, err := standalone.Start(ctx, standalone.Options{
		Dir: f.dir, Prefix: f.nats.Prefix, Lease: f.sim.AskedLease(), Concurrency: embeddedConcurrency, EnrollTimeout: time.Minute,
		Safeguards: engine.DefaultSafeguards(), Played: true, Logger: logger,
	})
	if err != nil {
		return sum, fmt.Errorf("start a fleet in %s: %w", filepath.Clean(f.dir), err)
	}
	defer fleet.Close()
	bus, err := eventlog.Connect(ctx, eventlog.Options{URL: fleet.URL(), Prefix: f.nats.Prefix, Name: "fleetfold simulate", Logger: cli.BusLogger(logger)})
	if err != nil {
		return sum, err
	}
	defer bus.Close()
	f.sim.Evidence = fleet.Attest().Prove
	// The fleet outlives the nodes, so that it hears their farewells.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, running := errgroup.WithContext(running)
	g.Go(func() error { return fleet.Run(running) })
	g.Go(func() error {
		defer stop()
		playing, cancel := context.WithCancel(running)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		if _, _, err := fleet.Apply(playing, text, "simulate"); err != nil {
			return err
		}
		sum, err = f.play(playing, bus)
		return err
	})
	return sum, g.Wait()
}

// embeddedConcurrency is how many actions the embedded executor carries out side
// by side: they mostly wait for the log.
const embeddedConcurrency = 256
