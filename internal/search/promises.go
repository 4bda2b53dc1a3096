package search

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// check says which promise the step from one state to the next broke.
func (a *steps) check(from, to state) string {
	if to.log != from.log {
		for seq := from.log.seq + 1; seq <= to.log.seq; seq++ {
			if broken := a.checkEvent(to.log.at(seq)); broken != "" {
				return broken
			}
		}
		if to.log.insidePlan() {
			return "plans whole: a part of a plan is on the log"
		}
	}
	if gone := to.acked &^ from.acked; gone != 0 {
		for p := to.log; p.parent != nil; p = p.parent {
			if gone&(1<<p.seq) != 0 && !to.log.hasOutcome(requestOf(p).Action) {
				return "once: an action was acknowledged that has no outcome"
			}
		}
	}
	return ""
}

// checkBegin looks at a handler that begins.
func (m *Model) checkBegin(log *prefix, q *events.ActionRequested) string {
	if log.hasOutcome(q.Action) {
		return fmt.Sprintf("once: the handler of %s begins, and its outcome is on the log", need(q))
	}
	if other := earlier(log, q); other != nil {
		return fmt.Sprintf("order: %s begins, and %s of its plan has no outcome", need(q), need(other))
	}
	if why := m.stopped(m.facts(log), q.Type, q.ID); why != "" {
		return fmt.Sprintf("held: %s begins on %d, and %s", need(q), log.seq, why)
	}
	return ""
}

// earlier finds an action of an earlier phase of the same plan without an outcome.
func earlier(log *prefix, q *events.ActionRequested) *events.ActionRequested {
	for p := log; p.parent != nil; p = p.parent {
		if !p.event.Type.IsAction() || requestOf(p).Action != q.Action {
			continue
		}
		plan := planOf(p.plan)
		for i := range plan.Actions {
			other := &plan.Actions[i]
			if other.Type.Phase() < q.Type.Phase() && !log.hasOutcome(other.Action) {
				return other
			}
		}
	}
	return nil
}

// checkEvent looks at one event and the log in front of it.
func (a *steps) checkEvent(p *prefix) string {
	before := p.parent
	a.stored[string(p.event.Type)]++
	if !p.event.Type.IsAction() && before.insidePlan() {
		return fmt.Sprintf("plans whole: %s stands between the actions of a plan", p.event.Type)
	}
	switch d := p.event.Data.(type) {
	case *events.EnforcementEnabled:
		return a.checkFlip(before)
	case *events.ActionRequested:
		return checkAction(p, d)
	case *events.ActionSucceeded:
		return a.checkOutcome(p, d.Type, d.Action)
	case *events.ActionFailed:
		return a.checkOutcome(p, d.Type, d.Action)
	case *events.ActionRefused:
		a.stored[string(d.Reason)+" "+d.Detail]++
		return a.checkOutcome(p, d.Type, d.Action)
	}
	return ""
}

// checkFlip does not ask the engine: it is what the engine is checked against.
func (a *steps) checkFlip(before *prefix) string {
	f := a.Model.facts(before)
	if f.paused {
		return "held: enforcement is enabled, and the fleet is paused"
	}
	if f.inventory == nil || !f.inventory.RequireSig {
		return "flip: enforcement is enabled, and the inventory in force does not ask for it"
	}
	for want := range f.inventory.Nodes() {
		for i, id := range ids {
			n := &f.nodes[i]
			switch {
			case id != want.ID:
			case !n.known || !n.Present:
				return fmt.Sprintf("flip: enforcement is enabled, and the desired node %s is absent", id)
			case n.Proved == nil:
				return fmt.Sprintf("flip: enforcement is enabled, and the desired node %s cannot sign", id)
			}
		}
	}
	return ""
}

// checkAction: published once, and where its plan says.
func checkAction(p *prefix, d *events.ActionRequested) string {
	for old := p.parent; old.parent != nil; old = old.parent {
		if old.event.Type.IsAction() && requestOf(old).Action == d.Action {
			return fmt.Sprintf("once: %s, attempt %d, is published at %d and again at %d", need(d), d.Attempt, old.seq, p.seq)
		}
	}
	if p.plan == nil {
		return "plans whole: an action without a plan"
	}
	plan := planOf(p.plan)
	at := p.seq - p.plan.seq - 1
	if at >= uint64(len(plan.Actions)) || plan.Actions[at] != *d {
		return fmt.Sprintf("plans whole: %s stands where its plan does not say", need(d))
	}
	return ""
}

func (a *steps) checkOutcome(p *prefix, of fleet.ActionType, id fleet.ActionID) string {
	a.stored[string(p.event.Type)+" "+string(of)]++
	before := p.parent
	if before.hasOutcome(id) {
		return "once: an action has two outcomes"
	}
	for p := before; p.parent != nil; p = p.parent {
		if !p.event.Type.IsAction() || requestOf(p).Action != id {
			continue
		}
		q := requestOf(p)
		if other := earlier(before, q); other != nil {
			return fmt.Sprintf("order: %s has an outcome, and %s of an earlier phase of its plan has none", need(q), need(other))
		}
		return ""
	}
	return "once: an outcome without an action"
}

// need names what an action is for.
func need(q *events.ActionRequested) string {
	if q.ID == "" {
		return string(q.Type)
	}
	return string(q.Type) + " " + string(q.ID)
}
