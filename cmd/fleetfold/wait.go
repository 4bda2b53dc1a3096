package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newWait() *cobra.Command {
	var nats cli.NATSFlags
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait --for converged",
		Short: "Wait until the fleet is as its inventory asks",
		Example: `  fleetfold wait --for converged --timeout 2m
  fleetfold wait --for converged --nats nats://127.0.0.1:4222 && echo done`,
		Args: cobra.NoArgs,
	}
	nats.AddTo(cmd.Flags())
	cli.Choice(cmd.Flags(), "for", "`CONDITION` to wait for", "converged")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "exit 1 after this `DURATION`; 0 means never")
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

func waitFor(ctx context.Context, cmd *cobra.Command, nats *cli.NATSFlags, timeout time.Duration) error {
	l, err := follow(ctx, cmd, nats)
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
		return fmt.Errorf("%w (%s): %s", errNotConverged, timeout, missing(s))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "converged at sequence %d\n", s.Sequence)
	return nil
}
