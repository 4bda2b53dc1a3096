package history

import (
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// begin opens the batch of a plan. A plan that was decided on a fold that ended
// inside another plan could not know of the rest of it.
func (c *Checker) begin(seq uint64, d *events.PlanDecided) {
	if d.Basis >= seq {
		c.add(seq, RuleBatch, "plan %s was decided on sequence %d, which is not before it", d.Plan, d.Basis)
	}
	if p := c.ends[d.Shard]; p != nil && d.Basis < p.end() {
		c.add(seq, RuleBatch, "plan %s was decided on sequence %d, before the end of plan %s at %d", d.Plan, d.Basis, p.id, p.end())
	}
	c.newest = &plan{id: d.Plan, sequence: seq, decided: d, void: !c.counts(d)}
	c.ends[d.Shard] = c.newest
	c.open = len(d.Actions) > 0
}

// counts says whether a plan counts where it stands: under the partition that is in
// force, which has its shard, and in a fleet that was ever divided for the inventory
// that is in force. One that does not is no fault: another fact came first.
func (c *Checker) counts(d *events.PlanDecided) bool {
	in := c.state.Partition()
	if in.Sequence == 0 {
		return d.Shard == "" && d.Partition == 0
	}
	return in.Sequence == d.Partition && in.Knows(d.Shard) && c.state.Inventory().Generation == d.Generation
}

// closeBatch is called where no more action of the open plan can follow.
func (c *Checker) closeBatch(seq uint64) {
	if !c.open {
		return
	}
	p := c.newest
	c.open, p.short = false, true
	c.add(seq, RuleBatch, "plan %s announced %d actions, and only %d follow", p.id, len(p.decided.Actions), len(p.actions))
}

func (c *Checker) publish(seq uint64, e *events.Event, d *events.ActionRequested) {
	a := &action{data: *d, published: seq}
	if c.inBatch(seq, e, d) {
		a.plan = c.newest
		c.newest.actions = append(c.newest.actions, a)
		c.open = len(c.newest.actions) < len(c.newest.decided.Actions)
	}
	if a.plan != nil && a.plan.void {
		return // the same may be published again, and then counts
	}
	need := fleet.Action{Type: d.Type, ID: d.ID}
	if c.actions[d.Action] != nil || c.state.Ledger().AttemptsAt(need, d.Epoch, d.Generation).Published >= d.Attempt {
		c.add(seq, RuleOnce, "action %s was published before", d.Action)
		return
	}
	c.actions[d.Action] = a
	if a.plan != nil {
		a.plan.open[d.Type.Phase()]++
	}
}

// inBatch says whether the action is the next one its plan announced.
func (c *Checker) inBatch(seq uint64, e *events.Event, d *events.ActionRequested) bool {
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

// notOpen is why an action that is referred to is not among those without outcome.
const notOpen = "action %s was not published, or has its outcome already"

func (c *Checker) end(seq uint64, id fleet.ActionID, names fleet.Action) {
	a := c.actions[id]
	if a == nil {
		c.add(seq, RuleOutcome, notOpen, id)
		return
	}
	if names != a.named() {
		c.add(seq, RuleOutcome, "the outcome of %s names another action than was published at %d", id, a.published)
	}
	delete(c.actions, id)
	c.inPhase(seq, a)
}

// inPhase looks for actions of earlier phases whose outcome is still to come.
func (c *Checker) inPhase(seq uint64, a *action) {
	if a.plan == nil {
		return
	}
	phase := a.data.Type.Phase()
	a.plan.open[phase]--
	for earlier, n := range a.plan.open[:phase] {
		if n > 0 {
			c.add(seq, RulePhase, "action %s (%s) of plan %s ends before %d of its phase %d do", a.data.Action, a.data.Type, a.plan.id, n, earlier)
		}
	}
}

// effect holds a fact that an action brings about against the action.
func (c *Checker) effect(seq uint64, id fleet.ActionID, of fleet.Action) {
	switch a := c.actions[id]; {
	case a == nil:
		c.add(seq, RuleOnce, "it is the work of an action, and "+notOpen, id)
	case a.named() != of:
		c.add(seq, RuleOnce, "it cannot be the work of action %s, which is a %s", id, a.data.Type)
	}
}

func (a *action) named() fleet.Action { return fleet.Action{Type: a.data.Type, ID: a.data.ID} }
