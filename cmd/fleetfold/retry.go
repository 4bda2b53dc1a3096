package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

type retryFlags struct {
	nats       cli.NATSFlags
	node, note string
}

func newRetry() *cobra.Command {
	var f retryFlags
	cmd := &cobra.Command{
		Use:   "retry ACTION | --node ID",
		Short: "Try again at once what failed, in place of waiting for its next attempt",
		Long: `Try again at once what failed or was refused, in place of waiting for its next
attempt. Of the action's id the beginning is enough where only one thing that the
plan wants was tried under such an id; --node retries what the plan wants of a
node. 'fleetfold status' and 'fleetfold explain' show what backs off or is stuck.

It is one attempt that does not wait. What failed so far goes on counting, so that
what is stuck stays stuck until it succeeds, and if it fails again the next wait is
longer. What a safeguard holds stays held: it is tried when that ends.`,
		Example: `  fleetfold retry enroll-9f2c5b0a -m "the cable is back in"
  fleetfold retry --node node-3`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.nats.AddTo(cmd.Flags())
	cmd.Flags().StringVar(&f.node, "node", "", "retry what the plan wants of the node with this `ID`")
	addNote(cmd, &f.note)
	return cmd
}

func (f *retryFlags) run(cmd *cobra.Command, args []string) error {
	name, err := f.asked(args)
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
	var r retrial
	err = read(cmd.Context(), l.view, l.inventories.Get, func(st *projection.State, inv *fleet.Inventory) {
		r = findRetrial(st, inv, time.Now(), fleet.NodeID(f.node), name)
	})
	switch {
	case err != nil:
		return err
	case errors.Is(r.err, errNotTried) && name != "":
		return notTried(cmd.Context(), l, name)
	case r.err != nil:
		return r.err
	case r.already:
		fmt.Fprintln(cmd.OutOrStdout(), r.says)
		return nil
	}
	if err := planner.Retry(cmd.Context(), l.bus.Log(), r.attempt, r.basis, word); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), r.says)
	if r.warning != "" {
		cmd.PrintErrf("warning: %s\n", r.warning)
	}
	return nil
}

// asked is the action that the person named; empty for --node.
func (f *retryFlags) asked(args []string) (string, error) {
	switch {
	case f.node != "" && len(args) > 0:
		return "", cli.Usagef("an action and --node are both given")
	case f.node != "":
		if _, err := fleet.ParseNodeID(f.node); err != nil {
			return "", cli.Usagef("--node %q: %w", f.node, err)
		}
		return "", nil
	case len(args) == 0 || args[0] == "":
		return "", cli.Usagef("name the action to be retried, or its node with --node")
	}
	return args[0], nil
}

// errNotTried means that the plan wants nothing that was tried under that id.
var errNotTried = errors.New("nothing that the plan wants was tried under that id")

// notTried says what an action is that cannot be retried.
func notTried(ctx context.Context, l *live, name string) error {
	from, err := audit.NewLive(ctx, l.bus.Log(), l.bus.GetInventory)
	if err != nil {
		return err
	}
	found, err := explain.Find(from.Records(ctx, 0), name)
	if err != nil {
		return fmt.Errorf("look for %q on the log: %w", name, err)
	}
	one, err := onlyOne(found, name)
	if err != nil {
		return err
	}
	e, err := explain.Read(ctx, from, l.bus.Log().Subjects(), one.Subject())
	if err != nil {
		return err
	}
	return fmt.Errorf("cannot retry %s: %s", one.ActionID, e.Explain(time.Now()).Verdict)
}

// retrial is what a wish to retry comes to on one fold.
type retrial struct {
	attempt engine.Step
	basis   uint64
	// already: there is nothing to be asked for, says why.
	already       bool
	says, warning string
	err           error
}

// findRetrial looks for what a person means among what the plan wants: the need of
// a node, or the one that was tried under an id that begins so.
func findRetrial(st *projection.State, inv *fleet.Inventory, now time.Time, node fleet.NodeID, prefix string) retrial {
	var meant []explain.Pending
	var ids []string
	older := false
	for _, p := range explain.PendingOf(st, inv, now) {
		if node != "" && p.ID == node {
			meant = append(meant, p)
		}
		if id, newest := triedAs(st, p, prefix); node == "" && id != "" {
			meant, ids = append(meant, p), append(ids, id)
			older = !newest
		}
	}
	switch {
	case len(meant) == 0 && node != "":
		return retrial{err: cli.WithHint(fmt.Errorf("nothing is to be done for node %s", node), "'fleetfold explain --node "+string(node)+"' says why")}
	case len(meant) == 0:
		return retrial{err: errNotTried}
	case len(ids) > 1:
		return retrial{err: cli.WithHint(fmt.Errorf("several actions have an id that begins with %q", prefix), "give more of it: "+strings.Join(ids, ", "))}
	}
	r := judge(st, meant[0])
	if older {
		r = retrial{err: fmt.Errorf("cannot retry %s: another attempt followed, %s, and %s", ids[0], newestID(st, meant[0]), stateOf(meant[0]))}
	}
	r.basis = st.Sequence()
	return r
}

// newestID is the newest attempt at what is pending.
func newestID(st *projection.State, p explain.Pending) fleet.ActionID {
	if p.State == explain.InFlight {
		return p.ActionID
	}
	newest, _ := planner.NewestAttempt(st, p.Action)
	return newest.ActionID
}

// triedAs is the attempt at a need whose id begins so; empty: there is none. Where
// several do, the newest is meant.
func triedAs(st *projection.State, p explain.Pending, prefix string) (id string, newest bool) {
	if p.State == explain.InFlight && strings.HasPrefix(string(p.ActionID), prefix) {
		return string(p.ActionID), true
	}
	last, tried := planner.NewestAttempt(st, p.Action)
	for attempt := last.Attempt; tried && attempt > 0; attempt-- {
		id := string(engine.ActionIDFor(p.Action, last.Epoch, last.Generation, attempt))
		if strings.HasPrefix(id, prefix) {
			return id, attempt == last.Attempt
		}
	}
	return "", false
}

// judge says whether a pending action can be retried.
func judge(st *projection.State, p explain.Pending) retrial {
	attempt, tried := planner.NewestAttempt(st, p.Action)
	past := st.Ledger().AttemptsAt(p.Action, attempt.Epoch, attempt.Generation)
	name := strings.TrimSpace(fmt.Sprintf("%s %s", p.Type, p.ID))
	r := retrial{attempt: attempt, says: fmt.Sprintf("%s is tried again now, after attempt %d (%s)", name, attempt.Attempt, attempt.ActionID)}
	failed := tried && (past.Failures > 0 || past.LastRefused)
	switch {
	case p.State == explain.InFlight:
		return retrial{err: fmt.Errorf("cannot retry %s: %s", name, stateOf(p))}
	case p.Retry:
		return retrial{already: true, says: name + " is to be tried again already; " + stateOf(p)}
	case !failed:
		return retrial{err: fmt.Errorf("cannot retry %s: it has not failed; %s", name, stateOf(p))}
	case p.State == explain.ToPublish:
		return retrial{already: true, says: name + " is due already: planners publish it with their next plan"}
	case p.State != explain.BackingOff:
		r.warning = fmt.Sprintf("it waits all the same: %s", stateOf(p))
	}
	return r
}

// stateOf says what becomes of it, in a few words.
func stateOf(p explain.Pending) string {
	text := "it is " + strings.ReplaceAll(string(p.State), "_", " ")
	switch {
	case p.State == explain.InFlight:
		text += fmt.Sprintf(" since %s as %s", p.Since.Local().Format(time.DateTime), p.ActionID)
	case p.State == explain.ToPublish:
		return "it is published with the next plan"
	case p.State == explain.BackingOff:
		text += " " + p.Detail
	case p.Reason != "":
		text += fmt.Sprintf(": %s: %s", p.Reason, p.Detail)
	}
	return text
}
