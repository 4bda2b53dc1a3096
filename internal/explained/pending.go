package explained

import (
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// pending: each action of the plan that concerns the subject is in one state, the
// one that the engine gives; and what else is listed is in flight.
func (c *checker) pending() {
	inv, seen := c.inForce(), map[fleet.Action]int{}
	var plan fleet.Plan
	if inv != nil {
		plan = engine.Reconcile(inv, c.state.Observed())
	}
	for _, p := range c.x.Pending {
		if p.Unwanted {
			_, flies := c.state.Ledger().Flight(p.ActionID)
			c.demand(flies && !plan.Has(p.Action) && p.State == explain.InFlight, "unwanted: %+v", p)
			continue
		}
		seen[p.Action]++
		c.demand(plan.Has(p.Action), "the plan does not want %v", p.Action)
		want, reason := c.stateOf(plan, p.Action)
		c.demand(p.State == want && (want != explain.Held || p.Reason == reason), "%v is %s (%s) and is said to be %s (%s)", p.Action, want, reason, p.State, p.Reason)
		c.until(plan, p)
	}
	for _, a := range plan.Actions {
		concerns := a.ID == c.x.Subject.Node && (c.x.Subject.Kind != explain.KindAction || a.Type == c.x.Subject.Type)
		c.demand(!concerns || seen[a] == 1, "%v is pending, and is told %d times", a, seen[a])
	}
}

// stateOf asks the engine about the whole plan at the moment of the explanation.
func (c *checker) stateOf(plan fleet.Plan, a fleet.Action) (explain.State, fleet.Reason) {
	for _, f := range c.state.Ledger().Flights() {
		if f.Action == a {
			return explain.InFlight, ""
		}
	}
	d := c.decidedAt(c.now)
	if !slices.ContainsFunc(d.Held, func(h fleet.Held) bool { return h.Action == a }) {
		return explain.ToPublish, ""
	}
	for _, h := range d.Held {
		switch {
		case h.Action != a:
		case h.Reason == engine.ReasonBackingOff:
			return explain.BackingOff, h.Reason
		case h.Reason == engine.ReasonInFlight, h.Reason == engine.ReasonMaxInFlight:
			return explain.Blocked, h.Reason
		default:
			return explain.Held, h.Reason
		}
	}
	return "", ""
}

func (c *checker) decidedAt(now time.Time) decide.Decided {
	return decide.Plan(c.state, c.inForce(), decide.Given{Settled: true, Now: now, Safeguards: decide.Safeguards(c.state), Policy: decide.Policy(c.state)})
}

// until: the reason is there just before, and gone at that moment. A penalty that
// decays is not told to the nanosecond.
func (c *checker) until(plan fleet.Plan, p explain.Pending) {
	if p.Until.IsZero() {
		return
	}
	has := func(at time.Time) bool {
		return slices.ContainsFunc(c.decidedAt(at).Held, func(h fleet.Held) bool { return h.Action == p.Action && h.Reason == p.Reason })
	}
	c.demand(has(p.Until.Add(-time.Microsecond)) && !has(p.Until), "%v is said to wait until %s", p.Action, p.Until)
}
