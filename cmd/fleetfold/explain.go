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
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/view"
)

type explainFlags struct {
	sourceFlags
	output       *string
	node, action string
	steps        int
}

func newExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain NODE | ACTION | strict",
		Short: "Say why a node, an action or enforcement is as it is, and why not otherwise",
		Long: `Say why a node, an action or enforcement is as it is: which records of the log
made it so, which plan wanted what because of it, what came of that. And why not
otherwise: what a safeguard holds and until when, what backs off, what is in
flight, what waits for what.

'explain strict' lists exactly the nodes that keep strict enforcement off, or says
how the fleet became strict and which proofs that stood on. Of an action the
beginning of its id is enough where that names no other. A node that is called as
an action could be, or "strict", is named with --node.

With --from the export in a file is read in place of a server, and what is waited
for is told as of its last record.

The number in parentheses, or behind "since" and "at", is a sequence of the log:
'fleetfold log' shows the record. "·" is a fact, "»" a plan, "›" an action; below
it stands what it changed (→) and what it follows from (←).`,
		Example: `  fleetfold explain node-3
  fleetfold explain enroll-9f2c5b0a
  fleetfold explain strict
  fleetfold explain node-3 -o json | jq .pending
  fleetfold explain node-3 --from log.jsonl`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.addTo(cmd.Flags())
	f.output = addOutput(cmd.Flags(), "output `FORMAT`", "text", "json")
	cmd.Flags().StringVar(&f.node, "node", "", "explain the node with this `ID`")
	cmd.Flags().StringVar(&f.action, "action", "", "explain the action with this `ID`, or the beginning of one")
	cmd.Flags().IntVar(&f.steps, "steps", 20, fmt.Sprintf("show the `N` newest steps, 1 to %d; -o json has them all", explain.MaxSteps))
	cmd.MarkFlagsMutuallyExclusive("node", "action")
	return cmd
}

// asked is what the person named: one of node, action, strict, or a name that may
// be a node's or an action's.
func (f *explainFlags) asked(args []string) (kind explain.Kind, name string, err error) {
	switch named := len(args); {
	case f.steps < 1 || f.steps > explain.MaxSteps:
		return "", "", cli.Usagef("--steps is %d, must be 1 to %d", f.steps, explain.MaxSteps)
	case f.node != "" && f.action != "" || named == 1 && f.node+f.action != "":
		return "", "", cli.Usagef("name one thing: a node, an action, or strict")
	case f.node != "":
		_, err := fleet.ParseNodeID(f.node)
		if err != nil {
			return "", "", cli.Usagef("--node %q: %w", f.node, err)
		}
		return explain.KindNode, f.node, nil
	case f.action != "":
		return explain.KindAction, f.action, nil
	case named == 0 || args[0] == "":
		return "", "", cli.Usagef("name what is to be explained: a node, an action, or strict")
	case args[0] == "strict":
		return explain.KindStrict, "", nil
	case explain.IsActionID(args[0]):
		return "", args[0], nil
	}
	if _, err := fleet.ParseNodeID(args[0]); err != nil {
		return "", "", cli.Usagef("%q is neither an action nor a node: %w", args[0], err)
	}
	return explain.KindNode, args[0], nil
}

func (f *explainFlags) run(cmd *cobra.Command, args []string) error {
	kind, name, err := f.asked(args)
	if err != nil {
		return err
	}
	h, err := f.open(cmd.Context(), cmd)
	if err != nil {
		return err
	}
	defer h.close()
	subject, err := subjectOf(cmd.Context(), h, kind, name)
	if err != nil {
		return err
	}
	e, err := explain.Read(cmd.Context(), h, h.subjects, subject)
	if err != nil {
		return err
	}
	now := time.Now()
	if h.bus == nil {
		now = e.At() // what was to end later had not ended
	}
	x := e.Explain(now)
	if !x.Known() {
		return cli.WithHint(errors.New(x.Verdict), "'fleetfold get nodes' lists the nodes, 'fleetfold log' what happened")
	}
	return f.print(cmd, h.bus, x)
}

func (f *explainFlags) print(cmd *cobra.Command, bus *eventlog.Bus, x explain.Explanation) error {
	w := cmd.OutOrStdout()
	if *f.output == "json" {
		return render.JSON(w, x)
	}
	o := render.ExplainOptions{Options: render.Options{Colour: render.Colour(w)}, Width: cli.Width(w), Zone: time.Local, MaxSteps: f.steps}
	if err := render.Explanation(w, x, o); err != nil {
		return err
	}
	for _, p := range x.Pending {
		if p.State == explain.InFlight && bus != nil {
			return executors(cmd, bus)
		}
	}
	return nil
}

// executors says who may be carrying out what is in flight: the log does not.
func executors(cmd *cobra.Command, bus *eventlog.Bus) error {
	services, err := bus.Services(cmd.Context())
	if err != nil {
		return err
	}
	var some []string
	for _, s := range services {
		if s.Kind == eventlog.ExecutorService {
			some = append(some, fmt.Sprintf("%s pid %d (%s running)", s.Host, s.PID, render.Count(s.Running, "action")))
		}
	}
	if len(some) == 0 {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "\nno executor answers: nobody carries actions out")
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nexecutors that answer: %s\n", strings.Join(some, ", "))
	return err
}

// subjectOf looks up on the log what a name means, where that is not plain.
func subjectOf(ctx context.Context, from explain.Source, kind explain.Kind, name string) (explain.Subject, error) {
	switch kind {
	case explain.KindStrict:
		return explain.Subject{Kind: kind}, nil
	case explain.KindNode:
		return explain.Subject{Kind: kind, Node: fleet.NodeID(name)}, nil
	}
	found, err := explain.Find(from.Records(ctx, 0), name)
	if err != nil {
		return explain.Subject{}, fmt.Errorf("look for %q on the log: %w", name, err)
	}
	isNode := kind == "" && (found.Node || desires(ctx, from, found.Digest, name))
	switch {
	case isNode && len(found.Actions) > 0:
		return explain.Subject{}, cli.WithHint(fmt.Errorf("%q is a node, and an action begins so too", name), "say which with --node or --action")
	case kind == "" && len(found.Actions) == 0:
		return explain.Subject{Kind: explain.KindNode, Node: fleet.NodeID(name)}, nil
	}
	one, err := onlyOne(found, name)
	return one.Subject(), err
}

// onlyOne is the action that a name means.
func onlyOne(found explain.Matches, name string) (explain.Found, error) {
	switch {
	case len(found.Actions) == 0:
		return explain.Found{}, cli.WithHint(fmt.Errorf("no action on the log has an id that begins with %q", name),
			"'fleetfold status' shows what is in flight, 'fleetfold log' every action")
	case len(found.Actions) > 1:
		var ids []string
		for _, a := range found.Actions {
			ids = append(ids, string(a.ActionID))
		}
		text := strings.Join(ids, ", ")
		if found.More > 0 {
			text += fmt.Sprintf(" and %d more", found.More)
		}
		return explain.Found{}, cli.WithHint(fmt.Errorf("several actions have an id that begins with %q", name), "give more of it: "+text)
	}
	return found.Actions[0], nil
}

// desires says whether an inventory names a node. One that cannot be read names
// nobody: explaining the node says so then.
func desires(ctx context.Context, from explain.Source, digest, name string) bool {
	if digest == "" {
		return false
	}
	inv, err := view.NewInventories(from.Inventory).Get(ctx, digest)
	return err == nil && inv.Find(fleet.NodeID(name)) != nil
}
