package search

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// world changes, as long as it may.
func (a *steps) world() {
	if a.from.changes == 0 {
		return
	}
	for i, id := range ids {
		n := a.from.nodes[i]
		switch {
		case n.alive:
			a.change(i, node{session: n.session, key: n.key, serial: n.serial}, "node %s dies", id)
			a.change(i, node{alive: true, session: n.session + 1, key: n.key + 1}, "node %s starts anew and has lost its key", id)
		case n.session > 0:
			a.change(i, node{alive: true, session: n.session + 1, key: n.key, serial: n.serial}, "node %s comes back", id)
		}
	}
	a.people()
}

// people say what the fleet should be, what nobody may touch, and what may go.
func (a *steps) people() {
	for i, inv := range a.Inventories {
		if inv == a.facts.inventory {
			continue
		}
		a.say(inventoryApplied(i, a.facts.ref.Generation+1), "the operator applies inventory %d: %s", i, describe(inv))
	}
	for _, target := range a.Pausable {
		if a.paused(target) {
			a.say(controlled(events.TypeControlResumed, target, &events.ControlResumed{Target: target, Actor: "operator"}), "the operator resumes %s", target)
		} else {
			a.say(controlled(events.TypeControlPaused, target, &events.ControlPaused{Target: target, Actor: "operator"}), "the operator pauses %s", target)
		}
	}
	if a.Approvals {
		a.approve()
	}
}

// approve says yes to what people may have seen a while ago. Of the views whose
// approval does the same, the freshest is taken: it counts under the inventory in
// force or not at all, and covers the lives that had begun.
func (a *steps) approve() {
	type effect struct {
		counts bool
		covers [len(ids)]bool
	}
	done := make(map[effect]bool)
	for view := a.from.log; view.parent != nil; view = view.parent {
		id := a.Model.facts(view).approval
		if id == "" {
			continue
		}
		var does effect
		if does.counts = view.seq >= a.facts.ref.Sequence; does.counts {
			for i := range ids {
				does.covers[i] = a.facts.nodes[i].known && a.facts.nodes[i].Began <= view.seq
			}
		}
		if !done[does] {
			done[does] = true
			a.say(approved(id, view.seq), "the operator approves what was to be removed on %d", view.seq)
		}
	}
}

// say appends without a fence: whatever came meanwhile, the person means it.
func (a *steps) say(e *events.Event, format string, args ...any) {
	to := a.from
	to.changes--
	to.log = to.log.then(e)
	a.add(-1, to, format, args...)
}

func (a *steps) paused(t fleet.Target) bool {
	if t == everything {
		return a.facts.paused
	}
	return a.facts.node(t.ID).paused
}

func (a *steps) change(i int, n node, format string, id fleet.NodeID) {
	to := a.from
	to.changes--
	to.nodes[i] = n
	a.add(-1, to, format, id)
}

func inventoryApplied(i int, generation uint64) *events.Event {
	return &events.Event{
		ID: fmt.Sprint(i), Source: events.SourceOperator, Type: events.TypeInventoryApplied, Time: stored,
		Data: &events.InventoryApplied{Digest: fmt.Sprint(i), Generation: generation, Actor: "operator"},
	}
}

var everything = fleet.Target{Scope: fleet.ScopeFleet}

func only(id fleet.NodeID) fleet.Target { return fleet.Target{Scope: fleet.ScopeNode, ID: id} }

func controlled(t events.Type, target fleet.Target, d events.Payload) *events.Event {
	return &events.Event{ID: target.String(), Source: events.SourceOperator, Type: t, Node: target.ID, Time: stored, Data: d}
}

func approved(id fleet.ApprovalID, basis uint64) *events.Event {
	return &events.Event{
		ID: fmt.Sprint(id, basis), Source: events.SourceOperator, Type: events.TypePlanApproved, Time: stored,
		Data: &events.PlanApproved{Approval: id, Basis: basis, Actor: "operator"},
	}
}
