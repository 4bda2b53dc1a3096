// Package agentcmd is the command of a node's agent, which is a program of its
// own and a part of the operator's command.
package agentcmd

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/internal/cli/profile"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

type options struct {
	id, dir  string
	evidence evidenceFlags
	receive  receiveFlags
	posts    postFlags
	listen   string
	profiles profile.Flags
	lease    time.Duration
	slowest  time.Duration
	untilEOF bool
	nats     cli.NATSFlags
	log      cli.LogFlags
	connect  func(context.Context, eventlog.Options) (agent.Bus, error)
}

// New returns the command "node-agent".
func New() *cobra.Command {
	return newCommand(func(ctx context.Context, o eventlog.Options) (agent.Bus, error) {
		bus, err := eventlog.Connect(ctx, o)
		if errors.Is(err, eventlog.ErrSettings) {
			return nil, permanent{err}
		}
		if err != nil {
			return nil, err // a nil *Bus must not become a Bus
		}
		return bus, nil
	})
}

// permanent is an agent.ErrPermanent in the words and with the hint of its error.
type permanent struct{ error }

func (p permanent) Unwrap() error        { return p.error }
func (p permanent) Is(target error) bool { return target == agent.ErrPermanent }

func newCommand(connect func(context.Context, eventlog.Options) (agent.Bus, error)) *cobra.Command {
	o := options{connect: connect}
	cmd := &cobra.Command{
		Use:   "node-agent",
		Short: "Speak for one node: hold its lease, its key and its credential",
		Long: `Speak for one node of the fleet.

The agent makes the node's key in its folder, where it stays, and sends
heartbeats for as long as it runs. It answers the commands of the fleet: it
hands out a certificate request, keeps the credential that comes back, and
proves by a signature that it holds the key. It waits for ever for a server
that is away.

SIGINT and SIGTERM end it with a farewell and exit code 0. So does the fleet
when the inventory in force does not name the node, any more or yet; key and
credential are removed then, and the agent is to be started again once it does.
Without an inventory it waits.`,
		Example: `  # on node n1, with the server of the fleet
  {path} --id n1 --nats nats://bus.example.org:4222

  # on a secure bus, as the node that the certificate names
  {path} --id n1 --nats tls://bus.example.org:4222 --identity /etc/fleetfold/identity

  # with another client certificate that shows who the node is
  {path} --id n1 --attest-cert /etc/ssl/n1.crt --attest-key /etc/ssl/n1.key

  # with /healthz, /readyz and /metrics
  {path} --id n1 --listen 127.0.0.1:8082

  # take posts and post to two peers, to watch a rollout
  {path} --id n1 --receive 10.0.0.1:8083 --posts http://10.0.0.2:8083,http://10.0.0.3:8083

  # in the background of another program, ending with it
  {path} --id n1 --dir /var/lib/fleetfold/n1 --stop-on-stdin-eof`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.id, "id", "", "`ID` of the node, as in the inventory (required)")
	flags.StringVar(&o.dir, "dir", "", "`FOLDER` of key and credential, for this node alone; default is fleetfold/ID in the user's data folder (~/.local/share)")
	o.evidence.addTo(flags)
	o.receive.addTo(flags)
	o.posts.addTo(flags)
	flags.DurationVar(&o.lease, "lease", agent.DefaultLease, "`DURATION` that the node counts as present after a heartbeat, in whole seconds, 1s to 1h; a heartbeat is sent three times as often")
	flags.DurationVar(&o.slowest, "slowest-lease", 0, "longest lease `DURATION`, in whole seconds, --lease to 1h, that the fleet may slow this node down to as it grows; 0s means 5m or --lease, whichever is longer")
	flags.BoolVar(&o.untilEOF, "stop-on-stdin-eof", false, "stop when standard input ends, for a parent that may be killed")
	flags.StringVar(&o.listen, "listen", "", "`ADDRESS` for /healthz, /readyz and /metrics, such as :8082; empty means none. With --stop-on-stdin-eof the variable is passed over: it is the parent's address")
	o.nats.AddTo(flags)
	o.log.AddTo(flags)
	o.profiles.AddTo(flags)
	return cmd
}

func (o *options) run(cmd *cobra.Command) error {
	var err error
	if o.evidence.bus, err = o.nats.Files(); err != nil {
		return err
	}
	if err := o.profiles.Check(); err != nil {
		return err
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	opts, err := o.nats.Options("fleetfold-node-agent " + o.id)
	if err != nil {
		return err
	}
	// An inbox of its own lets the server's permissions keep nodes apart.
	opts.CustomInboxPrefix = busconf.NodeInbox(o.nats.Prefix, cfg.Node)
	log := o.log.Logger(cmd.ErrOrStderr())
	opts.Logger = cli.BusLogger(log)

	// A parent hands its environment down, and two cannot listen at one address.
	if o.untilEOF && !cli.FromCommandLine(cmd.Flags().Lookup("listen")) {
		o.listen = ""
	}
	if o.untilEOF && !cli.FromCommandLine(cmd.Flags().Lookup("pprof")) {
		o.profiles.Address = ""
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	if o.untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, cmd.InOrStdin())
			cancel()
		}()
	}
	return o.serve(ctx, cfg, opts, log)
}

// serve opens the folder before it looks for the server: what is wrong here is
// said at once, also while the server is away.
func (o *options) serve(ctx context.Context, cfg agent.Config, opts eventlog.Options, log zerolog.Logger) error {
	a, err := o.open(ctx, cfg, opts, log)
	if err != nil {
		return err
	}
	posts, err := o.openPosts(a, cfg.Dir, log)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.listen != "" {
		g.Go(func() error {
			return obs.Serve(ctx, o.listen, obs.Checks{Ready: a.Ready}, posts.collectors(metrics{a}), log)
		})
	}
	g.Go(func() error { return o.profiles.Serve(ctx, log) })
	posts.serve(ctx, g, log)
	g.Go(func() error {
		defer cancel() // the agent may have been told to stop
		return o.attend(ctx, a, posts, opts, log)
	})
	return errors.Join(g.Wait(), a.Close())
}

// attend waits for the server and serves there until ctx ends or a command
// stops the agent.
func (o *options) attend(ctx context.Context, a *agent.Agent, posts postings, opts eventlog.Options, log zerolog.Logger) error {
	bus, err := agent.Dial(ctx, func(ctx context.Context) (agent.Bus, error) { return o.connect(ctx, opts) }, log)
	switch {
	case err == nil:
		defer posts.follow(ctx, bus, log)()
		return a.Run(ctx, bus)
	case ctx.Err() != nil:
		return nil // stopped before there was anything to say farewell to
	}
	return err
}

func (o *options) config() (agent.Config, error) {
	id, err := fleet.ParseNodeID(o.id)
	if o.id == "" {
		err = errors.New("no node given: --id is required")
	}
	if err != nil {
		return agent.Config{}, cli.UsageError(err)
	}
	cfg := agent.Config{Node: id, Dir: o.dir, Lease: o.lease, SlowestLease: o.slowest}
	if o.untilEOF {
		cfg.LockWait = childLockWait
	}
	if cfg.Dir == "" {
		if cfg.Dir, err = defaultDir(id); err != nil {
			return agent.Config{}, cli.UsageError(err)
		}
	}
	if o.lease == 0 {
		return agent.Config{}, cli.Usagef("lease must be above 0")
	}
	if err := o.evidence.check(); err != nil {
		return agent.Config{}, err
	}
	if err := errors.Join(o.receive.check(), o.posts.check()); err != nil {
		return agent.Config{}, err
	}
	cfg.Evidence = o.evidence.in(cfg.Dir)
	return cfg, cli.UsageError(cfg.Validate())
}

// childLockWait is how long an agent that a parent started waits for the one
// before it, which may still be saying farewell to a server that is gone.
const childLockWait = 5 * time.Second

// defaultDir is the node's folder below the user's data folder.
func defaultDir(id fleet.NodeID) (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", errors.New("no home folder is known: --dir is required")
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "fleetfold", events.FileName(id)), nil
}
