package search

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Story is how a promise was broken, for people.
type Story struct {
	// Begin is the log at the beginning, Steps what happened then, each with
	// the lines it put on the log.
	Begin []string
	Steps []Step
	// Broken says which promise, and how.
	Broken string
}

// Step of a story.
type Step struct {
	What string
	Log  []string
}

func (s *Story) String() string {
	var b strings.Builder
	b.WriteString("the log in the beginning:\n")
	for _, line := range s.Begin {
		fmt.Fprintf(&b, "    %s\n", line)
	}
	for i, step := range s.Steps {
		fmt.Fprintf(&b, "%2d. %s\n", i+1, step.What)
		for _, line := range step.Log {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	fmt.Fprintf(&b, "broken: %s\n", s.Broken)
	return b.String()
}

// tell goes the way to a move once more, and this time with words. States
// forget which executor is which, so the names are carried along.
func (m *Model) tell(origins []origin, last origin) *Story {
	var way []int32
	for o := last; o.state >= 0; o = origins[o.state] {
		way = append(way, o.move)
	}
	slices.Reverse(way)
	m.quiet = false
	defer func() { m.quiet = true }()
	at, swapped := m.begin.canonical()
	names := [2]string{"executor 1", "executor 2"}
	s := &Story{Begin: lines(at.log, 0)}
	for _, k := range way {
		if swapped {
			names[0], names[1] = names[1], names[0]
		}
		next := m.moves(at, nil)[k]
		step := Step{What: next.what, Log: lines(next.to.log, at.log.seq)}
		if next.executor >= 0 {
			step.What = names[next.executor] + " " + step.What
		}
		s.Steps = append(s.Steps, step)
		s.Broken = next.broken
		at, swapped = next.to.canonical()
	}
	return s
}

// lines are the events behind a sequence.
func lines(p *prefix, after uint64) (out []string) {
	for ; p.seq > after; p = p.parent {
		out = append(out, fmt.Sprintf("%2d  %s", p.seq, line(p)))
	}
	slices.Reverse(out)
	return out
}

func line(p *prefix) string {
	text := string(p.event.Type)
	if p.event.Node != "" {
		text += " " + string(p.event.Node)
	}
	switch d := p.event.Data.(type) {
	case *events.InventoryApplied:
		return fmt.Sprintf("%s, generation %d", text, d.Generation)
	case *events.ActionRequested:
		return fmt.Sprintf("%s, attempt %d, generation %d (%s)", text, d.Attempt, d.Generation, d.Action)
	case *events.PlanDecided:
		return fmt.Sprintf("%s on %d, %d actions", text, d.Basis, len(d.Actions))
	case *events.ActionSucceeded:
		return fmt.Sprintf("%s (%s)", text, d.Action)
	case *events.ActionFailed:
		return fmt.Sprintf("%s (%s)", text, d.Action)
	case *events.ActionRefused:
		if d.Detail != "" {
			return fmt.Sprintf("%s, %s: %s (%s)", text, d.Reason, d.Detail, d.Action)
		}
		return fmt.Sprintf("%s (%s)", text, d.Action)
	case *events.ControlPaused:
		return fmt.Sprintf("%s: %s", p.event.Type, d.Target)
	case *events.ControlResumed:
		return fmt.Sprintf("%s: %s", p.event.Type, d.Target)
	case *events.PlanApproved:
		return fmt.Sprintf("%s on %d", text, d.Basis)
	}
	return text
}

// describe says what an inventory asks for.
func describe(inv *fleet.Inventory) string {
	text := "permissive"
	if inv.RequireSig {
		text = "strict"
	}
	for n := range inv.Nodes() {
		text += " " + string(n.ID)
	}
	return text
}
