package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// condition is what one may wait for.
type condition struct {
	// holds says whether it does. inv is nil where none is in force.
	holds func(st *projection.State, inv *fleet.Inventory) bool
	// reached is what is said then, and missing what is said of a fleet of which
	// it does not hold.
	reached string
	missing func(s status.Status) string
	failed  error
}

var (
	errNotStrict     = errors.New("the fleet did not become strict in time")
	errNotPermissive = errors.New("the fleet did not become permissive in time")
	errNodeNotThere  = errors.New("the node did not come in time")
)

// conditionOf reads --for.
func conditionOf(text string) (condition, error) {
	posture := func(strict bool) func(*projection.State, *fleet.Inventory) bool {
		return func(st *projection.State, _ *fleet.Inventory) bool { return st.StrictEnforced() == strict }
	}
	switch text {
	case "converged":
		return condition{new(status.Again).Converged, "converged", status.Status.Missing, errNotConverged}, nil
	case "strict":
		return condition{posture(true), "strict", missingStrict, errNotStrict}, nil
	case "permissive":
		return condition{posture(false), "permissive", status.Status.Missing, errNotPermissive}, nil
	}
	name, isNode := strings.CutPrefix(text, "node=")
	if !isNode {
		return condition{}, cli.Usagef("--for %q: must be converged, strict, permissive or node=ID", text)
	}
	id, err := fleet.ParseNodeID(name)
	if err != nil {
		return condition{}, cli.Usagef("--for %q: %w", text, err)
	}
	there := func(st *projection.State, _ *fleet.Inventory) bool {
		n, ok := st.Node(id)
		return ok && n.Present && st.CanSign(id)
	}
	return condition{there, fmt.Sprintf("node %s is present and signs", id), func(s status.Status) string { return missingNode(s, id) }, errNodeNotThere}, nil
}

func missingStrict(s status.Status) string {
	text := s.Missing()
	if n := len(s.BlockedBy); n > 0 {
		return fmt.Sprintf("%s in the way, the first is %s, which is %s; %s", render.Count(n, "node"), s.BlockedBy[0].ID, s.BlockedBy[0].Why, text)
	}
	return text
}

func missingNode(s status.Status, id fleet.NodeID) string {
	for _, n := range s.Observed.Nodes {
		if n.ID == id {
			return fmt.Sprintf("%s: present %s, signs %s", id, yes(n.Present), yes(n.CanSign))
		}
	}
	return fmt.Sprintf("%s was never seen", id)
}

func newWait() *cobra.Command {
	var nats cli.NATSFlags
	var timeout time.Duration
	var what string
	cmd := &cobra.Command{
		Use:   "wait --for CONDITION",
		Short: "Wait until the fleet is as its inventory asks, strict, permissive, or a node is there",
		Long: `Wait until the fleet is as its inventory asks (converged), until strict enforcement is
on or off (strict, permissive), or until a node is present and can sign (node=ID).

A server that is not up yet, or a log that nobody has made yet, is waited for, too.`,
		Example: `  fleetfold wait --for converged --timeout 2m
  fleetfold wait --for strict && echo done
  fleetfold wait --for node=node-4 --timeout 30s`,
		Args: cobra.NoArgs,
	}
	nats.AddTo(cmd.Flags())
	cmd.Flags().StringVar(&what, "for", "converged", "`CONDITION` to wait for: converged, strict, permissive or node=ID")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "exit 1 after this `DURATION`, 0s or longer; 0 means never")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conditionOf(what)
		if err != nil {
			return err
		}
		if timeout < 0 {
			return cli.Usagef("--timeout is %s, must not be below 0", timeout)
		}
		ctx := cmd.Context()
		if timeout > 0 {
			until, cancel := context.WithTimeoutCause(ctx, timeout, c.failed)
			defer cancel()
			ctx = until
		}
		return waitFor(ctx, cmd, &nats, c, timeout)
	}
	return cmd
}

const hintWait = "'fleetfold status' and 'fleetfold log' show how far it is; --timeout gives it more time"

func waitFor(ctx context.Context, cmd *cobra.Command, nats *cli.NATSFlags, c condition, timeout time.Duration) error {
	l, err := reach(ctx, cmd, nats, c.failed)
	if errors.Is(context.Cause(ctx), c.failed) && err != nil {
		return cli.WithHint(fmt.Errorf("%w (%s): %w", c.failed, timeout, err), hintWait)
	}
	if err != nil {
		return err
	}
	defer l.close()
	err = waitUntil(ctx, l.view, l.inventories.Get, c.holds)
	var s status.Status
	if readErr := read(context.WithoutCancel(ctx), l.view, l.inventories.Get, func(st *projection.State, inv *fleet.Inventory) { s = status.Of(st, inv, time.Now()) }); readErr != nil {
		return errors.Join(err, readErr)
	}
	if errors.Is(context.Cause(ctx), c.failed) && err != nil {
		return cli.WithHint(fmt.Errorf("%w (%s): %s", c.failed, timeout, c.missing(s)), hintWait)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s at sequence %d\n", c.reached, s.Sequence)
	return err
}

// reachAgain is how long after a failure the fleet is looked for again.
const reachAgain = 500 * time.Millisecond

// reach follows the fleet as soon as there is one: whoever starts a fleet and
// waits for it in the next line must not have to know what is up already. When
// ctx ends first, the error says what is missing.
func reach(ctx context.Context, cmd *cobra.Command, nats *cli.NATSFlags, timeUp error) (*live, error) {
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
			if errors.Is(context.Cause(ctx), timeUp) {
				return nil, missing
			}
			return nil, ctx.Err()
		case <-time.After(reachAgain):
		}
	}
}
