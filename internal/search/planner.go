package search

import (
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// planners lets every planner publish what it decides on its view. A planner
// keeps nothing that matters from one step to the next, so that any number of
// planners is the same as one whose view is any beginning of the log. Of the
// views that lead to the same plan the freshest is taken: no decision looks at
// the basis that it would change.
func (a *steps) planners() {
	done := make(map[fleet.PlanID]bool)
	for view := a.from.log; view.parent != nil; view = view.parent {
		if !a.without(PlanFence) && view.seq < a.facts.lastPlan {
			return // its plan would lose the race
		}
		if view.insidePlan() && !a.without(WholePlan) {
			continue
		}
		f := a.Model.facts(view)
		if a.without(PlannerHold) {
			a.publish(view, &f.unheld, done)
		} else {
			a.publish(view, &f.settled, done)
		}
		a.publish(view, &f.careful, done)
	}
}

func (a *steps) publish(view *prefix, o *offer, done map[fleet.PlanID]bool) {
	// Whether its own fold holds it is the one thing that the basis matters for.
	if len(o.steps) == 0 || done[o.plan] && o.broken == "" {
		return
	}
	entries := a.batch(view.seq, a.Model.facts(view), o)
	if a.without(PlanFence) {
		entries[0].fence = fence{}
	}
	to := a.from
	after, ok := to.log.append(entries)
	if !ok {
		return // lost the race: it folds on, which changes nothing here
	}
	done[o.plan] = true
	to.log = after
	a.add(-1, to, "a planner that has folded up to %d publishes a plan", view.seq)
	a.breaks(o.broken)
	if a.without(AtomicBatch) && to.faults > 0 {
		to.faults--
		to.log = a.from.log.then(entries[0].event)
		a.add(-1, to, "a planner that has folded up to %d begins to publish a plan and dies", view.seq)
	}
}

// batch is plan.decided and its actions.
func (m *Model) batch(basis uint64, f *facts, o *offer) []entry {
	data := &events.PlanDecided{
		Plan: o.plan, Basis: basis, InventoryDigest: f.ref.Digest, Generation: f.ref.Generation,
		RuleVersion: engine.RuleVersion, DecidedAt: decided, Safeguards: decide.Recorded(m.Safeguards),
	}
	entries := []entry{{fence: fence{lastOnSubject, f.lastPlan}, event: &events.Event{
		ID: string(o.plan), Source: events.SourcePlanner, Type: events.TypePlanDecided, Time: decided, Data: data,
	}}}
	for i, s := range o.steps {
		request := &events.ActionRequested{
			Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation,
		}
		data.Actions = append(data.Actions, *request)
		entries = append(entries, entry{event: &events.Event{
			ID: string(s.ActionID), Source: events.SourcePlanner, Type: events.TypeOfAction(s.Type), Node: s.ID,
			Time: decided, Data: request,
			Step: &events.Step{Plan: o.plan, Step: i + 1, Steps: len(o.steps), Basis: basis},
		}})
	}
	return entries
}
