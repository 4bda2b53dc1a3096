package explained

import (
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
)

func (c *checker) action() {
	a, s := c.x.Action, c.x.Subject
	if a == nil {
		c.demand(false, "nothing is told of %s", s.Action)
		return
	}
	c.is(a.Sequence, events.TypeOfAction(s.Type), "action")
	c.demand(c.believed[a.Sequence].inFlight[s.Action] || !a.Counted, "%s is said to count at %d", s.Action, a.Sequence)
	end := uint64(0)
	for k := int(a.Sequence) + 1; a.Counted && k < len(c.believed) && end == 0; k++ {
		if !c.believed[k].inFlight[s.Action] {
			end = uint64(k)
		}
	}
	if o := a.Outcome; o != nil {
		c.is(o.Sequence, o.Type, "outcome")
		c.demand(o.Sequence == end, "%s ended at %d and is said to at %d", s.Action, end, o.Sequence)
	} else {
		c.demand(end == 0, "%s ended at %d, and has no outcome", s.Action, end)
	}
	if a.PlanAt > 0 {
		c.is(a.PlanAt, events.TypePlanDecided, "plan")
	}
	if a.SupersededAt > 0 {
		c.is(a.SupersededAt, events.TypeOfAction(s.Type), "next attempt")
	}
	for _, e := range a.Earlier {
		c.is(e.Sequence, events.TypeOfAction(s.Type), "earlier attempt")
		c.demand(e.Sequence < a.Sequence, "attempt at %d is not earlier", e.Sequence)
	}
	c.because(a)
}

// because: the causes of a need held at the basis of its plan.
func (c *checker) because(a *explain.Action) {
	c.causes(a.Because, a.Basis+1)
	if a.Basis == 0 || a.Basis >= a.Sequence {
		return
	}
	b := c.believed[a.Basis]
	n := b.nodes[a.ID]
	for _, cause := range a.Because {
		holds, known := map[string]bool{
			"desired": n.desired, "not desired": !n.desired, "observed": n.observed, "removed": !n.observed, "present": n.present, "absent": !n.present,
			"cannot sign": !n.canSign, "strict is wanted": b.wanted, "strict is not wanted": !b.wanted, "strict": b.strict, "no node stands in the way": b.unready == 0,
		}[cause.Says]
		c.demand(known && holds, "at %d it is said to be %q", a.Basis, cause.Says)
	}
}
