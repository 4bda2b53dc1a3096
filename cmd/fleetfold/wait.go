package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newWait() *cobra.Command {
	var nats cli.NATSFlags
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait --for converged",
		Short: "Wait until the fleet is as its inventory asks",
		Long: `Wait until the fleet is as its inventory asks. A server that is not up yet, or a
log that nobody has made yet, is waited for, too.`,
		Example: `  fleetfold wait --for converged --timeout 2m
  fleetfold wait --for converged --nats nats://127.0.0.1:4222 && echo done`,
		Args: cobra.NoArgs,
	}
	nats.AddTo(cmd.Flags())
	cli.Choice(cmd.Flags(), "for", "`CONDITION` to wait for", "converged")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "exit 1 after this `DURATION`, 0s or longer; 0 means never")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if timeout < 0 {
			return cli.Usagef("--timeout is %s, must not be below 0", timeout)
		}
		ctx := cmd.Context()
		if timeout > 0 {
			c, cancel := context.WithTimeoutCause(ctx, timeout, errNotConverged)
			defer cancel()
			ctx = c
		}
		return waitFor(ctx, cmd, &nats, timeout)
	}
	return cmd
}

const hintWait = "'fleetfold status' and 'fleetfold log' show how far it is; --timeout gives it more time"

func waitFor(ctx context.Context, cmd *cobra.Command, nats *cli.NATSFlags, timeout time.Duration) error {
	l, err := reach(ctx, cmd, nats)
	if errors.Is(context.Cause(ctx), errNotConverged) && err != nil {
		return cli.WithHint(fmt.Errorf("%w (%s): %w", errNotConverged, timeout, err), hintWait)
	}
	if err != nil {
		return err
	}
	defer l.close()
	err = waitConverged(ctx, l.view, l.inventories.Get)
	var s status.Status
	if readErr := read(context.WithoutCancel(ctx), l.view, l.inventories.Get, func(st *projection.State, inv *fleet.Inventory) { s = status.Of(st, inv, time.Now()) }); readErr != nil {
		return errors.Join(err, readErr)
	}
	if errors.Is(context.Cause(ctx), errNotConverged) && err != nil {
		return cli.WithHint(fmt.Errorf("%w (%s): %s", errNotConverged, timeout, s.Missing()), hintWait)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "converged at sequence %d\n", s.Sequence)
	return err
}

// reachAgain is how long after a failure the fleet is looked for again.
const reachAgain = 500 * time.Millisecond

// reach follows the fleet as soon as there is one: whoever starts a fleet and
// waits for it in the next line must not have to know what is up already. When
// ctx ends first, the error says what is missing.
func reach(ctx context.Context, cmd *cobra.Command, nats *cli.NATSFlags) (*live, error) {
	if _, err := nats.Options(""); err != nil {
		return nil, err
	}
	var missing error
	told := ""
	for {
		l, err := follow(ctx, cmd, nats)
		if err == nil || errors.Is(err, eventlog.ErrSettings) || errors.Is(err, eventlog.ErrGap) {
			return l, err
		}
		if ctx.Err() == nil || missing == nil {
			missing = err // when the time is up, that is all an error says
		}
		what := "log"
		if c := (*eventlog.ConnectError)(nil); errors.As(err, &c) {
			what = "server"
		}
		if told != what && ctx.Err() == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "waiting for the %s of the fleet: %v\n", what, err)
			told = what
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNotConverged) {
				return nil, missing
			}
			return nil, ctx.Err()
		case <-time.After(reachAgain):
		}
	}
}
