package search

import (
	"fmt"

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
		steps := a.Model.facts(view).steps
		a.publish(view, steps, done)
		a.publish(view, harmless(steps), done)
	}
}

// harmless is what a planner publishes that has not yet seen every node which
// the log calls present: neither decommissions nor the flip.
func harmless(steps []engine.Step) (kept []engine.Step) {
	for _, s := range steps {
		if s.Type != fleet.DecommissionNode && s.Type != fleet.EnableStrictEnforcement {
			kept = append(kept, s)
		}
	}
	return kept
}

func (a *steps) publish(view *prefix, steps []engine.Step, done map[fleet.PlanID]bool) {
	plan := engine.PlanIDFor(steps)
	if len(steps) == 0 || done[plan] {
		return
	}
	entries := batch(view.seq, a.Model.facts(view), plan, steps)
	if a.without(PlanFence) {
		entries[0].fence = fence{}
	}
	to := a.from
	after, ok := to.log.append(entries)
	if !ok {
		return // lost the race: it folds on, which changes nothing here
	}
	done[plan] = true
	to.log = after
	a.add(-1, to, "a planner that has folded up to %d publishes a plan", view.seq)
	if a.without(AtomicBatch) && to.faults > 0 {
		to.faults--
		to.log = a.from.log.then(entries[0].event)
		a.add(-1, to, "a planner that has folded up to %d begins to publish a plan and dies", view.seq)
	}
}

// batch is plan.decided and its actions.
func batch(basis uint64, f *facts, plan fleet.PlanID, steps []engine.Step) []entry {
	data := &events.PlanDecided{
		Plan: plan, Basis: basis, InventoryDigest: f.ref.Digest, Generation: f.ref.Generation,
		RuleVersion: engine.RuleVersion, DecidedAt: decided,
	}
	entries := []entry{{fence: fence{lastOnSubject, f.lastPlan}, event: &events.Event{
		ID: string(plan), Source: events.SourcePlanner, Type: events.TypePlanDecided, Time: decided, Data: data,
	}}}
	for i, s := range steps {
		request := &events.ActionRequested{
			Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation,
		}
		data.Actions = append(data.Actions, *request)
		entries = append(entries, entry{event: &events.Event{
			ID: string(s.ActionID), Source: events.SourcePlanner, Type: events.TypeOfAction(s.Type), Node: s.ID,
			Time: decided, Data: request,
			Step: &events.Step{Plan: plan, Step: i + 1, Steps: len(steps), Basis: basis},
		}})
	}
	return entries
}

// sensors lets a sensor append what the log lacks about a node. Its facts are
// fenced on the node's subject and follow from that subject alone, so that a
// sensor with an older view either says the same or loses the race.
func (a *steps) sensors() {
	for i, id := range ids {
		entries := sense(id, &a.facts.nodes[i], a.from.nodes[i])
		if len(entries) == 0 {
			continue
		}
		entries[0].fence = fence{lastOnSubject, a.facts.nodes[i].last}
		if after, ok := a.from.log.append(entries); ok {
			to := a.from
			to.log = after
			a.add(-1, to, "a sensor reports on node %s", id)
		}
	}
}

// sense compares a node with what the log says of it.
func sense(id fleet.NodeID, log *nodeFacts, real node) (entries []entry) {
	add := func(t events.Type, d events.Payload, distinct ...any) {
		entries = append(entries, entry{event: fact(t, id, d, distinct...)})
	}
	holds := serialOf(real.serial)
	switch {
	case real.alive && (!log.known || !log.Present || log.Session != fmt.Sprint(real.session)):
		add(events.TypeNodeAppeared, &events.NodeAppeared{
			Epoch: log.epoch, Session: fmt.Sprint(real.session), KeyFingerprint: fmt.Sprint(real.key),
		}, real.session, real.key)
		if log.Proved != nil && log.Proved.Serial != holds {
			add(events.TypeCredentialRevoked, &events.CredentialRevoked{
				Epoch: log.epoch, Serial: log.Proved.Serial, Reason: "credential_lost",
			}, log.Proved.Serial)
		}
	case !real.alive && log.known && log.Present:
		add(events.TypeNodeLost, &events.NodeLost{Epoch: log.epoch, Reason: "lease_expired"})
	case log.Issued != nil && log.Issued.Serial == holds && (log.Proved == nil || log.Proved.Serial != holds):
		add(events.TypeCredentialProved, &events.CredentialProved{
			Epoch: log.epoch, Serial: holds, Nonce: log.Issued.Nonce,
		}, holds)
	}
	return entries
}

// fact is an event about a node; what is distinct about it makes its id, for
// two events behind the same log with the same id are the same.
func fact(t events.Type, id fleet.NodeID, d events.Payload, distinct ...any) *events.Event {
	return &events.Event{
		ID: string(id) + fmt.Sprint(distinct...), Source: events.SourcePlanner, Type: t, Node: id, Time: stored, Data: d,
	}
}

func serialOf(seq uint8) string { return fmt.Sprintf("%02x", seq) }
