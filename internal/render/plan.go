package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Options of Plan. The zero value is plain text.
type Options struct {
	Colour bool
	// MaxBlockers is how many blocking nodes are named; 0 means 10.
	MaxBlockers int
	// MaxActions is how many actions are listed; 0 means all.
	MaxActions int
}

const defaultMaxBlockers = 10

// Action is the symbol of a type of action and the colour that goes with it.
func Action(t fleet.ActionType) (symbol, colour string) {
	switch t {
	case fleet.EnrollNode:
		return "+", Green
	case fleet.IssueCredential:
		return "~", Yellow
	case fleet.DecommissionNode:
		return "-", Red
	case fleet.DisableStrictEnforcement, fleet.EnableStrictEnforcement:
		return "!", Magenta
	}
	return "?", ""
}

// nameWidth is the length of the longest action type.
var nameWidth = func() (width int) {
	for _, t := range fleet.ActionTypes {
		width = max(width, len(t))
	}
	return width
}()

// Plan writes a plan: a line for each action in apply order, a line of counts,
// and, when enforcement is wanted but withheld, the nodes that block it.
func Plan(w io.Writer, plan fleet.Plan, blockers []engine.Blocker, o Options) error {
	b := bufio.NewWriter(w)
	listed := plan.Actions
	if o.MaxActions > 0 {
		listed = listed[:min(o.MaxActions, len(listed))]
	}
	for _, a := range listed {
		fmt.Fprintln(b, o.action(a))
	}
	if more := len(plan.Actions) - len(listed); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
	if !plan.Empty() {
		fmt.Fprintln(b)
	}
	fmt.Fprintln(b, o.paint(Bold, Counts(plan)))
	o.blockers(b, blockers)
	return b.Flush() // it keeps the first error of writing
}

func (o Options) paint(colour, text string) string {
	if !o.Colour {
		return text
	}
	return Paint(colour, text)
}

func (o Options) action(a fleet.Action) string {
	symbol, colour := Action(a.Type)
	return o.paint(colour, symbol) + " " + fmt.Sprintf("%-*s  %s", nameWidth, a.Type, subject(a))
}

// subject is what an action is about: its node, or why the fleet changes posture.
func subject(a fleet.Action) string {
	switch a.Type {
	case fleet.DisableStrictEnforcement:
		return "(the inventory does not ask for signatures)"
	case fleet.EnableStrictEnforcement:
		return "(every desired node is present and can sign)"
	}
	return string(a.ID)
}

// Counts says in one sentence how much of what a plan does.
func Counts(plan fleet.Plan) string {
	if plan.Empty() {
		return "Nothing to do: the fleet is as the inventory asks."
	}
	counts := plan.Counts()
	phrases := []struct {
		t    fleet.ActionType
		text string
	}{
		{fleet.EnrollNode, Count(counts[fleet.EnrollNode], "node") + " to enroll"},
		{fleet.IssueCredential, Count(counts[fleet.IssueCredential], "credential") + " to issue"},
		{fleet.DecommissionNode, Count(counts[fleet.DecommissionNode], "node") + " to decommission"},
		{fleet.DisableStrictEnforcement, "enforcement to relax"},
		{fleet.EnableStrictEnforcement, "enforcement to become strict"},
	}
	var parts []string
	for _, p := range phrases {
		if counts[p.t] > 0 {
			parts = append(parts, p.text)
		}
	}
	return fmt.Sprintf("Plan: %s: %s.", Count(len(plan.Actions), "action"), strings.Join(parts, ", "))
}

func (o Options) blockers(w io.Writer, blockers []engine.Blocker) {
	if len(blockers) == 0 {
		return
	}
	most := o.MaxBlockers
	if most <= 0 {
		most = defaultMaxBlockers
	}
	named := blockers[:min(most, len(blockers))]
	width := 0
	for _, b := range named {
		width = max(width, len(b.ID))
	}
	verb := "blocks"
	if len(blockers) > 1 {
		verb = "block"
	}
	fmt.Fprintf(w, "\n%s strict enforcement is wanted but withheld: %s %s it\n",
		o.paint(Magenta, "!"), Count(len(blockers), "node"), verb)
	for _, b := range named {
		fmt.Fprintf(w, "    %-*s  %s\n", width, b.ID, b.Why)
	}
	if more := len(blockers) - len(named); more > 0 {
		fmt.Fprintf(w, "    and %d more\n", more)
	}
}
