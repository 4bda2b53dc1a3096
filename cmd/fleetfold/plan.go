package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/observed"
)

// exitChanges says that the plan is not empty.
const exitChanges = 2

type planFlags struct {
	nats                cli.NATSFlags
	inventory, observed string
	output              *string
}

func newPlan() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan [--inventory FILE] [--observed FILE]",
		Short: "Show what lies between an inventory and a fleet",
		Long: `Show what lies between an inventory and a fleet: the actions in the order they would
be carried out, and what of them would be held. Nothing is changed.

A running fleet is asked, by the safeguards of its newest plan. Without --inventory it
is the inventory in force that is compared with it.

With --observed no server is asked. The observed fleet is then JSON:

  {"nodes": [{"id": "node-1", "present": true, "can_sign": false}], "strict_enforced": false}

FILE may be - for standard input, for one of the two.

Exit code 0 means nothing to do, 2 that there are changes, 1 an error, 64 a mistake
in the call.`,
		Example: `  # what is left to do?
  fleetfold plan

  # what would this file lead to?
  fleetfold plan --inventory fleet.yaml

  # the same without a server
  fleetfold plan --inventory examples/three-nodes.yaml --observed observed.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	f.nats.AddTo(flags)
	flags.StringVar(&f.inventory, "inventory", "", "inventory `FILE`; without it the one in force")
	flags.StringVar(&f.observed, "observed", "", "observed state `FILE`, in place of a running fleet; it needs --inventory")
	f.output = addOutput(flags, "output `FORMAT`", "text", "json")
	return cmd
}

func (f *planFlags) check() error {
	switch {
	case f.inventory == "" && f.observed != "":
		return cli.Usagef("--observed needs --inventory: without a server none is in force")
	case f.inventory == stdin && f.observed == stdin:
		return cli.WithHint(cli.Usagef("--inventory and --observed are both standard input"), "give one of them as a file")
	}
	return nil
}

func (f *planFlags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.observed == "" {
		return f.runLive(cmd)
	}
	desired, state, err := f.read(cmd)
	if err != nil {
		return err
	}
	plan, blockers := engine.Reconcile(desired, state), engine.Blocking(desired, state)
	held := heldOffline(plan, desired, state)
	w := cmd.OutOrStdout()
	if *f.output == "json" {
		err = render.JSON(w, newPlanJSON(plan, blockers, held, desired, state))
	} else {
		o := render.Options{Colour: render.Colour(w)}
		err = errors.Join(render.Plan(w, plan, blockers, o), render.Held(w, held, o))
	}
	if err == nil && !plan.Empty() {
		err = cli.Exit{Code: exitChanges}
	}
	return err
}

// runLive asks a running fleet.
func (f *planFlags) runLive(cmd *cobra.Command) error {
	forecast, err := f.foresee(cmd)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if *f.output == "json" {
		err = render.JSON(w, livePlanJSON(forecast))
	} else {
		err = planText(w, forecast.then, render.Options{Colour: render.Colour(w)})
	}
	if err == nil && !forecast.then.Plan.Empty() {
		err = cli.Exit{Code: exitChanges}
	}
	return err
}

// foresee reads the file before it reaches for the fleet.
func (f *planFlags) foresee(cmd *cobra.Command) (forecast, error) {
	var c candidate
	var err error
	if f.inventory != "" {
		if c, err = readCandidate(cmd, f.inventory); err != nil {
			return forecast{}, err
		}
	}
	l, err := follow(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return forecast{}, err
	}
	defer l.close()
	defer busy(cmd, "looking where it leads")()
	if f.inventory != "" {
		return foresee(cmd.Context(), l, c)
	}
	for { // until the fold does not move on to another inventory in between
		if c, err = l.inForce(cmd.Context()); err != nil {
			return forecast{}, err
		}
		if now, err := foresee(cmd.Context(), l, c); err != nil || now.inForceAlready() {
			return now, err
		}
	}
}

// heldOffline is what of the plan a planner with the default safeguards would
// hold, as far as two files tell: by the removal budget and the quorum.
func heldOffline(plan fleet.Plan, desired *fleet.Inventory, state *fleet.ObservedState) []fleet.Held {
	_, held := engine.Hold(plan, engine.Situation{Desired: desired, Observed: state, Settled: true}, engine.DefaultSafeguards())
	return held
}

// read reports the problems of both files at once, or else what is odd about
// the inventory.
func (f *planFlags) read(cmd *cobra.Command) (*fleet.Inventory, *fleet.ObservedState, error) {
	_, desired, rep := inventory.Read(input(cmd, f.inventory))
	var problems []string
	hint := ""
	for _, p := range rep.Errors {
		problems = append(problems, problemLine(f.inventory, "", p))
		hint = fmt.Sprintf("mend the inventory; 'fleetfold validate %s' checks it", f.inventory)
		if p.Tag == inventory.TagIOError {
			hint = hintUnreadable
		}
	}
	state, more, stateHint := readObserved(cmd, f.observed)
	if hint == "" {
		hint = stateHint
	}
	if problems = append(problems, more...); len(problems) > 0 {
		err := fmt.Errorf("no plan can be made:\n  %s", strings.Join(problems, "\n  "))
		return nil, nil, cli.WithHint(err, hint)
	}
	for _, p := range rep.Warnings {
		cmd.PrintErrln(problemLine(f.inventory, "warning: ", p))
	}
	return desired, state, nil
}

func readObserved(cmd *cobra.Command, name string) (state *fleet.ObservedState, problems []string, hint string) {
	data, err := input(cmd, name)()
	if err != nil {
		return nil, []string{fmt.Sprintf("%s: read observed state: %v", shown(name), err)}, hintUnreadable
	}
	state, err = observed.Parse(data)
	var wrong *observed.Error
	if errors.As(err, &wrong) {
		for _, p := range wrong.Problems {
			problems = append(problems, place(name, p.Line)+": "+pathed(p.Path, p.Message))
		}
	}
	return state, problems, "mend the observed state; 'fleetfold plan --help' shows its form"
}

// planJSON is the form for machines; its lists are never null.
type planJSON struct {
	Actions []fleet.Action `json:"actions"`
	// Counts has the types that the plan holds, and no others.
	Counts    map[fleet.ActionType]int `json:"counts"`
	BlockedBy []engine.Blocker         `json:"blocked_by"`
	// Held is what a planner would not publish, though it is planned.
	Held        []fleet.Held    `json:"held"`
	Enforcement enforcementJSON `json:"enforcement"`
}

// enforcementJSON says "strict" or "permissive" of both sides.
type enforcementJSON struct {
	Desired  string `json:"desired"`
	Observed string `json:"observed"`
	// Withheld: strict is wanted, and the nodes in blocked_by keep it off.
	Withheld bool `json:"withheld"`
}

func newPlanJSON(plan fleet.Plan, blockers []engine.Blocker, held []fleet.Held, desired *fleet.Inventory, state *fleet.ObservedState) planJSON {
	return planJSON{
		Actions:   append([]fleet.Action{}, plan.Actions...),
		Counts:    plan.Counts(),
		BlockedBy: append([]engine.Blocker{}, blockers...),
		Held:      append([]fleet.Held{}, held...),
		Enforcement: enforcementJSON{
			Desired:  render.Posture(desired.RequireSig),
			Observed: render.Posture(state.StrictEnforced),
			Withheld: len(blockers) > 0,
		},
	}
}
