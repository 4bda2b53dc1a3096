package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// live is a command's connection to a running fleet and its fold.
type live struct {
	bus         *eventlog.Bus
	view        *view.View
	inventories *view.Inventories
	stop        context.CancelFunc
	done        chan error
}

// connect reaches the fleet that the flags name; it must have a log already.
func connect(ctx context.Context, cmd *cobra.Command, flags *cli.NATSFlags) (*eventlog.Bus, error) {
	options, err := flags.Options("fleetfold " + cmd.Name())
	if err != nil {
		return nil, err
	}
	options.Logger = func(event string, err error) {
		switch {
		case event == eventlog.NotAllowed, event == eventlog.ConnectionLost && err != nil: // else it is our own end
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", event, err)
		case event == eventlog.ConnectionRestored: // whoever waits or watches has wondered
			fmt.Fprintln(cmd.ErrOrStderr(), event)
		}
	}
	bus, err := eventlog.Connect(ctx, options)
	if err != nil {
		return nil, err
	}
	if _, err := bus.Log().Last(ctx); err != nil {
		bus.Close()
		return nil, cli.WithHint(fmt.Errorf("read the log of fleet %q: %w", flags.Prefix, err),
			"is it the right server and --prefix? 'planner' or 'fleetfold up' creates the log")
	}
	return bus, nil
}

// follow folds the log up to its present end and goes on in the background.
func follow(ctx context.Context, cmd *cobra.Command, flags *cli.NATSFlags) (*live, error) {
	bus, err := connect(ctx, cmd, flags)
	if err != nil {
		return nil, err
	}
	l := &live{bus: bus, view: snapshots.ForCommand(bus, cmd.ErrOrStderr()), inventories: view.NewInventories(bus.GetInventory), done: make(chan error, 1)}
	ctx, l.stop = context.WithCancel(ctx)
	go func() { l.done <- l.view.Run(ctx) }()
	defer busy(cmd, "folding the log")()
	if err := l.view.CatchUp(ctx); err != nil {
		l.close()
		return nil, fmt.Errorf("fold the log: %w", err)
	}
	return l, nil
}

// now runs fn once on the fold as it is now, with the inventory in force.
func now(cmd *cobra.Command, flags *cli.NATSFlags, fn func(*projection.State, *fleet.Inventory)) error {
	l, err := follow(cmd.Context(), cmd, flags)
	if err != nil {
		return err
	}
	defer l.close()
	return read(cmd.Context(), l.view, l.inventories.Get, fn)
}

func (l *live) close() {
	l.stop()
	<-l.done
	l.bus.Close()
}

// inForce is the inventory in force on the fold, nil for none.
func inForce(ctx context.Context, v *view.View, get func(context.Context, string) (*fleet.Inventory, error)) (*fleet.Inventory, string, error) {
	var digest string
	v.Read(func(st *projection.State) { digest = st.Inventory().Digest })
	if digest == "" {
		return nil, "", nil
	}
	inv, err := get(ctx, digest)
	if err != nil {
		return nil, "", fmt.Errorf("get inventory in force: %w", err)
	}
	return inv, digest, nil
}

// read runs fn on the fold with the inventory in force on that very fold.
func read(ctx context.Context, v *view.View, get func(context.Context, string) (*fleet.Inventory, error), fn func(*projection.State, *fleet.Inventory)) error {
	for {
		inv, digest, err := inForce(ctx, v, get)
		if err != nil {
			return err
		}
		same := false
		v.Read(func(st *projection.State) {
			if same = st.Inventory().Digest == digest; same {
				fn(st, inv)
			}
		})
		if same {
			return nil
		}
	}
}

// waitConverged returns once the plan is empty and nothing is in flight.
func waitConverged(ctx context.Context, v *view.View, get func(context.Context, string) (*fleet.Inventory, error)) error {
	return waitUntil(ctx, v, get, new(status.Again).Converged)
}

// waitUntil returns once something holds of the fold and the inventory in force.
func waitUntil(ctx context.Context, v *view.View, get func(context.Context, string) (*fleet.Inventory, error), holds func(*projection.State, *fleet.Inventory) bool) error {
	for {
		changed := v.Changed()
		reached := false
		if err := read(ctx, v, get, func(st *projection.State, inv *fleet.Inventory) { reached = holds(st, inv) }); err != nil {
			return err
		}
		if reached {
			return nil
		}
		if err := v.Err(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
