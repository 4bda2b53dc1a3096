package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/inventoryfile"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/internal/standalone"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

type upFlags struct {
	inventory, dir, prefix string
	untilConverged, secure bool
	mode                   *string
	timeout, lease, enroll time.Duration
	safeguards             engine.Safeguards
	port, concurrency      int
	monitorPort            int
	output                 *string
	snapshots              snapshots.Flags
	log                    cli.LogFlags
}

func newUp() *cobra.Command {
	f := upFlags{safeguards: engine.DefaultSafeguards()}
	cmd := &cobra.Command{
		Use:   "up --inventory FILE",
		Short: "Run a whole fleet on this machine: server, planner, executor and agents",
		Long: `Run a whole fleet on this machine: an embedded NATS server with JetStream, the
planner, the executor, and a node-agent process for each node of the inventory.

The first lines say the folder and the address of the server; a second terminal
can use every other command with --nats, and --identity where the server asks for
one (--secure). The inventory file is watched: a valid
edit takes effect at once, an invalid one is reported and changes nothing.`,
		Example: `  fleetfold up --inventory examples/three-nodes.yaml
  fleetfold up --inventory fleet.yaml --dir ./fleet --until-converged --timeout 2m
  fleetfold up --inventory fleet.yaml --secure --dir ./fleet
  fleetfold up --inventory fleet.yaml --secure --mode jwt --dir ./fleet
  fleetfold up --inventory fleet.yaml --until-converged -o jsonl > log.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.inventory, "inventory", "", "inventory `FILE`, watched for changes (required)")
	flags.StringVar(&f.dir, "dir", "", "`DIR` for log, CA and agents, kept and taken up again; default a temporary folder, removed at the end")
	flags.BoolVar(&f.untilConverged, "until-converged", false, "exit 0 once the fleet is as the inventory asks and nothing is in flight")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "with --until-converged: exit 1 after this `DURATION`, above 0, saying what is missing")
	flags.Float64Var(&f.safeguards.BlindFraction, "blind-fraction", f.safeguards.BlindFraction,
		"when more than this `PART` of a region or the fleet is lost, 0 to 1, at least 3, nobody is enrolled again; 1 means never")
	flags.DurationVar(&f.lease, "lease", 6*time.Second, "`DURATION` after its last heartbeat at which a node is lost, in whole seconds, 1s to 1h")
	flags.DurationVar(&f.enroll, "enroll-timeout", time.Minute, "`DURATION` an enrolment may take before it failed and is tried again, above 0")
	flags.IntVar(&f.port, "port", 0, "`PORT` of the server on 127.0.0.1, 0 to 65535; 0 means a free one")
	flags.IntVar(&f.monitorPort, "monitor-port", 0, "`PORT` of the server's monitoring pages on 127.0.0.1, 0 to 65535, for 'fleetfold doctor --monitor'; 0 means none")
	flags.IntVar(&f.concurrency, "concurrency", 16, "`N` actions of a phase side by side, 1 to 256; 1 is strictly one by one")
	flags.BoolVar(&f.secure, "secure", false, "let the server ask everybody who they are, by TLS and client certificates, in mode jwt with a token besides; they are kept in DIR/bus")
	f.mode = cli.Choice(flags, "mode", "with --secure, how the server knows who somebody is: `MODE`; auto keeps what DIR has, and for a new one takes jwt from "+
		strconv.Itoa(busconf.TokensFrom)+" nodes on", "auto", string(busconf.Certificates), string(busconf.Tokens))
	flags.StringVar(&f.prefix, "prefix", events.DefaultPrefix, "first `TOKEN` of every subject")
	f.output = addOutput(flags, "`FORMAT` on standard output; jsonl prints each message this run appends to the log", "text", "jsonl")
	f.snapshots.AddTo(flags)
	f.log.AddTo(flags)
	cli.SetDefault(flags, "log-level", "warn")
	return cmd
}

// run owns what must be undone: the folder, the fleet, the screen.
func (f *upFlags) run(cmd *cobra.Command) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	_, inv, rep := inventory.Read(func() ([]byte, error) { return planner.ReadFile(f.inventory) })
	if !rep.Valid() {
		return cli.WithHint(rep.Err(), fmt.Sprintf("run 'fleetfold validate %s', and mend the file", f.inventory))
	}
	out := newScreen(cmd.OutOrStdout(), cmd.ErrOrStderr(), *f.output == "jsonl")
	// A reader that is gone must not kill this process: agents and folder would
	// stay. It is an error of writing like any other.
	signal.Ignore(syscall.SIGPIPE)
	// It ends last: whoever reads slowly waits for a fleet that is put away.
	defer func() { err = endOutput(err, out.close()) }()
	dir, removeDir, err := f.folder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeDir()) }()
	logger := quieter(f.log.Logger(cmd.ErrOrStderr()))
	fl, err := standalone.Start(cmd.Context(), standalone.Options{
		Dir: dir, Port: f.port, MonitorPort: f.monitorPort, Prefix: f.prefix, Secure: f.secure, Mode: f.busMode(), Inventory: inv,
		Lease: f.lease, Concurrency: f.concurrency, EnrollTimeout: f.enroll, Safeguards: f.safeguards, SnapshotEvery: f.snapshots.Every,
		OnStart: out.resume, OnRecord: out.record, OnAgentExit: out.agentExit, Logger: logger,
	})
	if err != nil {
		return err
	}
	defer fl.Close()
	out.begin(dir, fl.URL(), fl.Identity())
	return f.attend(cmd.Context(), fl, out, logger)
}

// endOutput adds what became of the output to how the run ended. A reader that
// went away, as head does, has seen all it wanted: nothing is said then.
func endOutput(err, writing error) error {
	switch {
	case writing == nil:
		return err
	case errors.Is(writing, syscall.EPIPE) && err == nil:
		return cli.Exit{Code: cli.ExitFailure}
	case errors.Is(writing, syscall.EPIPE):
		return err
	}
	return errors.Join(err, fmt.Errorf("write output: %w", writing))
}

// folder is the given one, made if missing, or a temporary one that is removed.
func (f *upFlags) folder() (dir string, remove func() error, err error) {
	if f.dir != "" {
		if err := os.MkdirAll(f.dir, 0o700); err != nil {
			return "", nil, fmt.Errorf("make folder: %w", err)
		}
		return f.dir, func() error { return nil }, nil
	}
	dir, err = os.MkdirTemp("", "fleetfold-")
	if err != nil {
		return "", nil, fmt.Errorf("make temporary folder: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// attend runs the fleet, applies each version of the file, and ends at
// convergence, at the timeout or when it is interrupted.
func (f *upFlags) attend(ctx context.Context, fl *standalone.Fleet, out *screen, logger zerolog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	failed := make(chan error, 2)
	working.Go(func() { failed <- fl.Run(ctx) })

	applied := make(chan uint64, 1)
	working.Go(func() { failed <- f.follow(ctx, fl, out, applied) })
	if !f.untilConverged {
		select {
		case <-ctx.Done():
			out.note("interrupted, stopping")
			return nil
		case <-out.broken():
			return nil // close says why
		case err := <-failed:
			return err
		}
	}
	converged := make(chan error, 1)
	working.Go(func() { converged <- f.converge(ctx, fl, applied) })
	select {
	case err := <-converged:
		return f.conclude(ctx, fl, out, err)
	case <-out.broken():
		return nil
	case err := <-failed:
		return err
	}
}

// follow puts each valid version of the file into force, and reports the others.
func (f *upFlags) follow(ctx context.Context, fl *standalone.Fleet, out *screen, applied chan<- uint64) error {
	return inventoryfile.Follower{
		Path: f.inventory,
		Unreadable: func(err error) {
			out.problem(fmt.Sprintf("cannot read %s, the last good inventory stays in force: %v", f.inventory, err))
		},
		Checked: func(rep inventory.Report) { f.checked(out, rep) },
		Apply: func(ctx context.Context, text []byte, inv *fleet.Inventory, _ func() error) error {
			out.desire(inv)
			generation, _, err := fl.Apply(ctx, text, inventoryfile.Actor())
			if err != nil {
				return err
			}
			select {
			case applied <- generation:
			default:
			}
			return nil
		},
		Failed: func(err error) {
			out.problem(fmt.Sprintf("cannot apply %s, trying again: %v", f.inventory, err))
		},
	}.Run(ctx)
}

func (f *upFlags) checked(out *screen, rep inventory.Report) {
	for _, w := range rep.Warnings {
		out.problem(problemLine(f.inventory, "warning: ", w))
	}
	if !rep.Valid() {
		out.problem(fmt.Sprintf("%s is not valid, the last good inventory stays in force:", f.inventory))
	}
	for _, p := range rep.Errors {
		out.problem(problemLine(f.inventory, "", p))
	}
}

// errNotConverged says that the time was up.
var errNotConverged = errors.New("the fleet did not converge in time")

// converge waits until the fold agrees with the inventory and the agents that
// the log calls present were seen.
func (f *upFlags) converge(ctx context.Context, fl *standalone.Fleet, applied <-chan uint64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, errNotConverged)
	defer cancel()
	err := awaitConvergence(ctx, fl, applied)
	if err != nil && context.Cause(ctx) == errNotConverged {
		return errNotConverged
	}
	return err
}

// awaitConvergence judges nothing before the generation that the file led to is
// folded: an older one may well be converged already.
func awaitConvergence(ctx context.Context, fl *standalone.Fleet, applied <-chan uint64) error {
	select {
	case <-fl.Settled():
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case generation := <-applied:
		folded := func(st *projection.State) bool { return st.Inventory().Generation >= generation }
		if err := fl.View().Wait(ctx, folded); err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	return waitConverged(ctx, fl.View(), fl.Inventory)
}

func (f *upFlags) conclude(ctx context.Context, fl *standalone.Fleet, out *screen, err error) error {
	if err != nil && !errors.Is(err, errNotConverged) {
		return err
	}
	var s status.Status
	readErr := read(ctx, fl.View(), fl.Inventory, func(st *projection.State, inv *fleet.Inventory) { s = status.Of(st, inv, time.Now()) })
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if err == nil {
		out.summary(s)
		return nil
	}
	return cli.WithHint(fmt.Errorf("%w (%s): %s", err, f.timeout, s.Missing()),
		"look at the messages above, at DIR/nodes/*.log with --dir DIR, or give it more time with --timeout")
}
