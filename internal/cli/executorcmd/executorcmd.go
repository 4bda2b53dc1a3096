// Package executorcmd is the executor as a command: cmd/executor runs it.
package executorcmd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/follow"
	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/internal/cli/profile"
	"github.com/fleetfold/fleetfold/internal/cli/service"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const (
	driverWait  = "wait"
	driverLocal = "local"
	agentName   = "node-agent"
)

type flags struct {
	nats          cli.NATSFlags
	log           cli.LogFlags
	attest        attestFlags
	profiles      profile.Flags
	ca            caFlags
	driver        *string
	dir, agent    string
	identities    string
	listen        string
	concurrency   int
	enrollTimeout time.Duration
	lease         time.Duration
	replicas      int
	running       atomic.Int64 // actions
}

// New returns the command.
func New() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "executor",
		Short: "Carry out the actions of a fleet and report their outcomes",
		Long: `The executor takes the actions up in the order of the log, decides again
whether each is still wanted and not held meanwhile, such as by a pause, carries it
out, and puts its outcome on the log. Any number of executors may share a fleet;
those that issue credentials share one folder of issuers. 'fleetfold ca' shows the
issuers and rotates them. It waits for a server that is away, and until a planner
has made the streams.

A node gets a credential only when it has shown who it is, in the way that the
inventory names for it: by the client certificate that it has already
(mtls-cert, --attest-ca), or to a program (node-plugin, --attest-plugin). The
agents that --driver local runs are given their evidence by the executor.

It also renews credentials, at the request of nodes and without a plan: the
signature by the old credential is evidence enough. See 'fleetfold rotate'.`,
		Example: `  executor --nats nats://127.0.0.1:4222 --dir /var/lib/fleetfold --attest-ca /etc/ssl/clients.crt
  executor --nats tls://bus.example.org:4222 --identity ./identity --attest-ca ./identity/ca.crt --dir /var/lib/fleetfold
  executor --driver local --dir ./fleet --listen :8081`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	f.nats.AddTo(fs)
	f.log.AddTo(fs)
	f.profiles.AddTo(fs)
	f.driver = cli.Choice(fs, "driver", "`DRIVER` that brings agents up: with wait others do and the executor waits for them, with local the executor does on this machine", driverWait, driverLocal)
	fs.StringVar(&f.dir, "dir", "", "`DIR` of the issuers (DIR/ca) and, with --driver local, of the nodes (DIR/nodes); required")
	fs.StringVar(&f.agent, "agent", "", "`FILE` of the agent that --driver local runs; without it node-agent beside this program or on the PATH")
	fs.StringVar(&f.identities, "agent-identities", "", "`DIR` that \"fleetfold nats config\" made, for the agents that --driver local runs on a secure bus")
	f.attest.addTo(fs)
	f.ca.addTo(fs)
	fs.DurationVar(&f.lease, "lease", 15*time.Second, "lease `DURATION` of the agents that --driver local runs, in whole seconds, 1s to 1h")
	fs.IntVar(&f.concurrency, "concurrency", executor.DefaultConcurrency, "most actions that run side by side in this executor, `N` of 1 to 256; 1 is strict one by one")
	fs.DurationVar(&f.enrollTimeout, "enroll-timeout", handlers.DefaultEnrollTimeout, "`DURATION` after which an enrolment has failed, above 0")
	fs.StringVar(&f.listen, "listen", "", "`ADDRESS` for /healthz, /readyz and /metrics, such as :8081; empty means none")
	fs.IntVar(&f.replicas, "replicas", 0, "`N` replicas that the planner makes the streams with, 1, 3 or 5; without it any number will do")
	return cmd
}

func (f *flags) check() error {
	switch {
	case f.dir == "":
		return cli.Usagef("--dir is required: the root issuer is kept there")
	case f.concurrency < 1 || f.concurrency > executor.MaxConcurrency:
		return cli.Usagef("--concurrency is %d, must be 1 to %d", f.concurrency, executor.MaxConcurrency)
	case f.attest.pluginTimeout <= 0:
		return cli.Usagef("--attest-plugin-timeout is %s, must be above 0", f.attest.pluginTimeout)
	case f.ca.check() != nil:
		return f.ca.check()
	case f.enrollTimeout <= 0:
		return cli.Usagef("--enroll-timeout is %s, must be above 0", f.enrollTimeout)
	case f.replicas != 0 && f.replicas != 1 && f.replicas != 3 && f.replicas != 5:
		return cli.Usagef("--replicas is %d, must be 1, 3 or 5", f.replicas)
	case f.lease < time.Second || f.lease%time.Second != 0 || f.lease > time.Hour:
		return cli.Usagef("--lease is %s, must be whole seconds from 1s to 1h", f.lease)
	}
	return f.profiles.Check()
}

func (f *flags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	options, err := f.nats.Options("executor")
	if err != nil {
		return err
	}
	options.Replicas = f.replicas
	w, err := f.prepare(cmd.Context(), f.log.Logger(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	return service.Service{
		Bus: options, Listen: f.listen, Profiles: f.profiles, Metrics: obs.Collectors{w.metrics, w.renewals, w.gap}, Logger: w.logger,
		Begin: func(ctx context.Context, bus *eventlog.Bus) error { return bus.AwaitStreams(ctx) },
		Work:  w.run,
	}.Run(cmd.Context())
}

// prepare does all that needs no server.
func (f *flags) prepare(ctx context.Context, logger zerolog.Logger) (w *work, err error) {
	w = &work{
		flags: f, metrics: executor.NewMetrics(), renewals: handlers.NewRenewalMetrics(), gap: follow.NewGap(), logger: logger,
	}
	if w.verifiers, w.evidence, err = f.attest.verifiers(*f.driver == driverLocal, filepath.Join(f.dir, "ca"), logger); err != nil {
		return nil, err
	}
	if w.signers, err = f.ca.signers(ctx); err != nil {
		return nil, err
	}
	if *f.driver == driverLocal {
		_, err = f.agentProgram() // before the wait for a server
	}
	return w, err
}

func (f *flags) newDriver(url string, evidence *attest.Local, logger zerolog.Logger) (driver handlers.Driver, stop func(), err error) {
	if *f.driver == driverWait {
		return handlers.Wait{}, func() {}, nil
	}
	program, err := f.agentProgram()
	if err != nil {
		return nil, nil, err
	}
	var agents func(fleet.NodeID) string
	creds := f.nats.Creds
	if f.identities != "" {
		creds = "" // they are the executor's
		agents = func(id fleet.NodeID) string { return busdir.Node(f.identities, id) }
	}
	local, err := handlers.NewLocal(handlers.LocalOptions{
		Dir: filepath.Join(f.dir, "nodes"), Program: []string{program},
		URL: url, Prefix: f.nats.Prefix, Creds: creds, Identity: agents, Lease: f.lease, Attest: evidence, Logger: logger,
	})
	if err != nil {
		return nil, nil, err
	}
	return local, local.Close, nil
}

func (f *flags) agentProgram() (string, error) {
	if f.agent != "" {
		return f.agent, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), agentName)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath(agentName)
	if err != nil {
		return "", cli.WithHint(fmt.Errorf("find agent: %w", err), "name its file with --agent, or use --driver wait")
	}
	return found, nil
}
