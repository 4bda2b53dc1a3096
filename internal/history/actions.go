package history

import (
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// begin opens the batch of a plan. A plan that was decided on a fold that ended
// inside another plan could not know of the rest of it.
func (c *checker) begin(seq uint64, d *events.PlanDecided) {
	if d.Basis >= seq {
		c.add(seq, RuleBatch, "plan %s was decided on sequence %d, which is not before it", d.Plan, d.Basis)
	}
	if p := c.newest; p != nil && d.Basis < p.end() {
		c.add(seq, RuleBatch, "plan %s was decided on sequence %d, before the end of plan %s at %d", d.Plan, d.Basis, p.id, p.end())
	}
	c.newest = &plan{id: d.Plan, sequence: seq, decided: d}
	c.open = len(d.Actions) > 0
}

// closeBatch is called where no more action of the open plan can follow.
func (c *checker) closeBatch(seq uint64) {
	if !c.open {
		return
	}
	c.open = false
	p := c.newest
	c.add(seq, RuleBatch, "plan %s announced %d actions, and only %d follow", p.id, len(p.decided.Actions), len(p.actions))
}

func (c *checker) publish(seq uint64, e *events.Event, d *events.ActionRequested) {
	a := &action{data: *d, published: seq}
	if c.inBatch(seq, e, d) {
		a.plan = c.newest
		c.newest.actions = append(c.newest.actions, a)
		c.open = len(c.newest.actions) < len(c.newest.decided.Actions)
	}
	if before := c.actions[d.Action]; before != nil {
		c.add(seq, RuleOnce, "action %s was published at %d already", d.Action, before.published)
		return
	}
	c.actions[d.Action] = a
}

// inBatch says whether the action is the next one its plan announced.
func (c *checker) inBatch(seq uint64, e *events.Event, d *events.ActionRequested) bool {
	if !c.open {
		c.add(seq, RuleBatch, "action %s stands in no plan's batch", d.Action)
		return false
	}
	p := c.newest
	at := len(p.actions)
	if want := p.decided.Actions[at]; *d != want {
		c.add(seq, RuleBatch, "plan %s announced action %s here, not %s", p.id, want.Action, d.Action)
		c.open = false
		return false
	}
	place := events.Step{Plan: p.id, Step: at + 1, Steps: len(p.decided.Actions), Basis: p.decided.Basis}
	if e.Step == nil || *e.Step != place {
		c.add(seq, RuleBatch, "action %s does not say that it is step %d of %d of plan %s on basis %d", d.Action, place.Step, place.Steps, place.Plan, place.Basis)
	}
	return true
}

func (c *checker) end(seq uint64, id fleet.ActionID, names fleet.Action) {
	a := c.actions[id]
	switch {
	case a == nil:
		c.add(seq, RuleOutcome, "action %s was not published before its outcome", id)
		return
	case a.ended > 0:
		c.add(seq, RuleOutcome, "action %s has its outcome at %d already", id, a.ended)
		return
	case names != a.named():
		c.add(seq, RuleOutcome, "the outcome of %s names another action than was published at %d", id, a.published)
	}
	a.ended = seq
	c.inPhase(seq, a)
}

// inPhase looks for actions of earlier phases whose outcome is still to come.
func (c *checker) inPhase(seq uint64, a *action) {
	if a.plan == nil {
		return
	}
	for _, other := range a.plan.actions {
		if other.ended == 0 && other.data.Type.Phase() < a.data.Type.Phase() {
			c.add(seq, RulePhase, "action %s (%s) of plan %s ends before %s (%s) of it does",
				a.data.Action, a.data.Type, a.plan.id, other.data.Action, other.data.Type)
		}
	}
}

// effect holds a fact that an action brings about against the action.
func (c *checker) effect(seq uint64, id fleet.ActionID, of fleet.Action) {
	a := c.actions[id]
	switch {
	case a == nil:
		c.add(seq, RuleOnce, "it is the work of action %s, which was not published before", id)
	case a.named() != of:
		c.add(seq, RuleOnce, "it cannot be the work of action %s, which is a %s", id, a.data.Type)
	case a.ended > 0:
		c.add(seq, RuleOnce, "it is the work of action %s, which had its outcome at %d", id, a.ended)
	}
}

func (a *action) named() fleet.Action { return fleet.Action{Type: a.data.Type, ID: a.data.ID} }
