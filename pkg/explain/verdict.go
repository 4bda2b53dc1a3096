package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Known says that the log or the inventory in force says anything of the subject.
func (x *Explanation) Known() bool {
	switch x.Subject.Kind {
	case KindAction:
		return x.Action != nil
	case KindNode:
		return len(x.Steps) > 0 || x.Node.Desired.Is || len(x.Pending) > 0
	}
	return true
}

func verdict(x *Explanation, readable bool) string {
	switch {
	case x.Subject.Kind == KindAction:
		return verdictOfAction(x)
	case x.Inventory != nil && !readable:
		return "cannot be told: the inventory in force cannot be read, and planners decide nothing"
	case x.Subject.Kind == KindStrict:
		return verdictOfStrict(x)
	}
	return verdictOfNode(x)
}

func verdictOfNode(x *Explanation) string {
	n := x.Node
	switch {
	case !x.Known():
		return fmt.Sprintf("nothing on the log concerns node %s, and no inventory in force names it", n.ID)
	case len(x.Pending) > 0:
		return x.Pending[0].sentence()
	case x.Inventory == nil:
		return "nothing to do: no inventory is in force"
	case n.Desired.Is:
		return "nothing to do: it is desired, present and can sign"
	}
	return "nothing to do: it is not desired, and not observed"
}

func verdictOfStrict(x *Explanation) string {
	s := x.Strict
	switch {
	case x.Inventory == nil && s.Is:
		return "strict, and no inventory is in force"
	case x.Inventory == nil:
		return "permissive: no inventory is in force"
	case s.Is && s.Wanted:
		return "strict, as the inventory asks"
	case s.Is:
		return "strict, and to be relaxed: " + first(x.Pending)
	case !s.Wanted:
		return "permissive, as the inventory asks"
	case len(s.Blockers) == 1:
		return "permissive, though strict is wanted: 1 node keeps it off"
	case len(s.Blockers) > 1:
		return fmt.Sprintf("permissive, though strict is wanted: %d nodes keep it off", len(s.Blockers))
	}
	return "permissive, and no node keeps strict off: " + first(x.Pending)
}

func first(pending []Pending) string {
	if len(pending) == 0 {
		return "nothing is planned"
	}
	return pending[0].sentence()
}

func verdictOfAction(x *Explanation) string {
	a := x.Action
	if a == nil {
		return fmt.Sprintf("no action with the id %s is on the log", x.Subject.Action)
	}
	text := ""
	switch {
	case !a.Counted:
		return "counts for nothing: it was of another epoch or of no inventory in force, or published before"
	case a.Outcome == nil:
		return first(x.Pending)
	case a.Outcome.Type == events.TypeActionSucceeded:
		text = "succeeded"
	case a.Outcome.Type == events.TypeActionFailed:
		text = "failed: " + because(a.Outcome.Reason, a.Outcome.Detail)
	default:
		text = "refused: " + because(a.Outcome.Reason, a.Outcome.Detail)
	}
	switch {
	case a.SupersededBy != "":
		text += fmt.Sprintf("; superseded by %s", a.SupersededBy)
	case a.Outcome.Type != events.TypeActionSucceeded && len(x.Pending) > 0:
		text += "; now " + x.Pending[0].sentence()
	case a.Outcome.Type != events.TypeActionSucceeded:
		text += "; no longer wanted"
	}
	return text
}

// sentence says what becomes of a pending action.
func (p *Pending) sentence() string {
	name := strings.TrimSpace(fmt.Sprintf("%s %s", p.Type, p.ID))
	text := ""
	switch p.State {
	case ToPublish:
		text = " is wanted, and published with the next plan"
		if p.Retry {
			text += ", as a person asked"
		}
	case InFlight:
		text = p.flying()
	case Held:
		text = " is held: " + because(p.Reason, p.Detail)
	case BackingOff:
		text = " is backing off " + p.Detail
	case Blocked:
		text = " is blocked: " + because(p.Reason, p.Detail)
	}
	if p.Stuck {
		text += fmt.Sprintf("; stuck after %d failures", p.Failures)
	}
	return name + text
}

func (p *Pending) flying() string {
	text := fmt.Sprintf(" is in flight since %s, as %s (%d)", p.Since.UTC().Format(time.RFC3339), p.ActionID, p.Published)
	switch {
	case p.Unwanted:
		text += ", and no longer wanted: an executor that has not begun refuses it"
	case p.Reason != "":
		text += ", and held by now: an executor that has not begun refuses it: " + because(p.Reason, p.Detail)
	}
	if len(p.BlockedBy) > 0 {
		text += "; it waits for " + list(p.BlockedBy)
	}
	return text
}

// list names a few.
func list(ids []fleet.ActionID) string {
	const shown = 3
	var names []string
	for _, id := range ids[:min(shown, len(ids))] {
		names = append(names, string(id))
	}
	text := strings.Join(names, ", ")
	if more := len(ids) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
