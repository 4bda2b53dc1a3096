package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

type rotateFlags struct {
	pauseFlags
	all, wait bool
	rate      string
	timeout   time.Duration
}

func newRotate() *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate --node ID | --region NAME | --all",
		Short: "Let a node, a region or the fleet renew its credentials now",
		Long: `Let a node, a region or the fleet renew its credentials now, before their time.

What was issued before the command is to be renewed, at a limited rate. Executors
ask the nodes, and each goes on using its old credential until the new one is
proved. A node that is away is asked when it comes back. The old credentials are
not revoked: they end in their time.

The rotation goes on when the command has ended; 'fleetfold status' shows what is
left of it. Another one of the same target takes its place.`,
		Example: `  fleetfold rotate --node node-1
  fleetfold rotate --region nyc --rate 2/s -m "keys of nyc may have leaked"
  fleetfold rotate --all --wait --timeout 1h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	f.nats.AddTo(fs)
	fs.StringVar(&f.node, "node", "", "the node with this `ID`")
	fs.StringVar(&f.region, "region", "", "the region with this `NAME`")
	fs.BoolVar(&f.all, "all", false, "the whole fleet")
	fs.StringVar(&f.rate, "rate", "10/s", "most nodes that are asked in a second, a minute or an hour: `RATE` such as 5/s, 30/m or 100/h")
	fs.BoolVar(&f.wait, "wait", false, "wait until all of them have proved a new credential")
	fs.DurationVar(&f.timeout, "timeout", 0, "with --wait: exit 1 after this `DURATION`, 0 or more; 0 means never")
	addNote(cmd, &f.note)
	return cmd
}

func (f *rotateFlags) target() (fleet.Target, error) {
	given := 0
	for _, is := range []bool{f.node != "", f.region != "", f.all} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return fleet.Target{}, cli.Usagef("name exactly one of --node, --region and --all")
	case f.timeout < 0:
		return fleet.Target{}, cli.Usagef("--timeout is %s, must not be below 0", f.timeout)
	}
	return f.pauseFlags.target()
}

// parseRate reads nodes a second.
func parseRate(text string) (float64, error) {
	number, unit, _ := strings.Cut(text, "/")
	per, ok := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if rate := n / per; ok && err == nil && rate > 0 && rate <= events.MaxRotationRate {
		return rate, nil
	}
	return 0, cli.Usagef("--rate %q: must be above 0 and at most %d/s, written such as 5/s, 30/m or 100/h", text, events.MaxRotationRate)
}

func (f *rotateFlags) run(cmd *cobra.Command) error {
	target, err := f.target()
	if err != nil {
		return err
	}
	rate, err := parseRate(f.rate)
	if err != nil {
		return err
	}
	word, err := wordOf(f.note)
	if err != nil {
		return err
	}
	l, err := follow(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return err
	}
	defer l.close()
	covered := 0
	err = read(cmd.Context(), l.view, l.inventories.Get, func(_ *projection.State, inv *fleet.Inventory) { covered = status.Covered(inv, target) })
	switch {
	case err != nil:
		return err
	case covered == 0:
		return cli.WithHint(fmt.Errorf("the inventory in force has no nodes in %s", target), "'fleetfold get nodes' lists nodes and regions")
	}
	seq, err := planner.Rotate(cmd.Context(), l.bus.Log(), target, rate, word)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "rotating %s, %s: what was issued before sequence %d\n", target, render.Count(covered, "node"), seq)
	if !f.wait {
		return nil
	}
	return f.await(cmd, l, target, seq)
}

var errNotRotated = errors.New("not rotated in time")

// await says on a terminal how far it is, at most once in a second, and returns when no node
// uses what it was issued before.
func (f *rotateFlags) await(cmd *cobra.Command, l *live, target fleet.Target, seq uint64) error {
	ctx := cmd.Context()
	if f.timeout > 0 {
		c, cancel := context.WithTimeoutCause(ctx, f.timeout, errNotRotated)
		defer cancel()
		ctx = c
	}
	if err := l.view.CatchUp(ctx); err != nil {
		return err
	}
	told, last := -1, time.Time{}
	for {
		changed, left := l.view.Changed(), 0
		err := read(ctx, l.view, l.inventories.Get, func(st *projection.State, inv *fleet.Inventory) { left = status.Unrotated(st, inv, target, seq) })
		if err == nil {
			err = l.view.Err()
		}
		switch {
		case err != nil:
			return err
		case left == 0:
			fmt.Fprintf(cmd.OutOrStdout(), "rotated %s\n", target)
			return nil
		case cli.IsTerminal(cmd.ErrOrStderr()) && left != told && time.Since(last) > time.Second:
			fmt.Fprintf(cmd.ErrOrStderr(), "%s to go\n", render.Count(left, "node"))
			told, last = left, time.Now()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNotRotated) {
				return cli.WithHint(fmt.Errorf("%w (%s): %s to go", errNotRotated, f.timeout, render.Count(left, "node")),
					"the rotation goes on; 'fleetfold status' shows what is left of it")
			}
			return ctx.Err()
		}
	}
}
