package explained

import (
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
)

func (c *checker) strict() {
	s, inv := c.x.Strict, c.inForce()
	c.demand(s.Is == c.state.StrictEnforced() && s.Wanted == (inv != nil && inv.RequireSig), "strict %v, wanted %v", s.Is, s.Wanted)
	var want []engine.Blocker
	if inv != nil {
		want = engine.Blocking(inv, c.state.Observed())
	}
	c.demand(len(want) == len(s.Blockers), "%d nodes keep it off, and %d are told", len(want), len(s.Blockers))
	for i, b := range s.Blockers[:min(len(want), len(s.Blockers))] {
		c.demand(b.ID == want[i].ID && b.Reason == want[i].Why, "%+v keeps it off, and %s is told", want[i], b.ID)
		c.truth("present", b.Present, func(at belief) bool { return at.nodes[b.ID].present })
		c.truth("can sign", b.CanSign, func(at belief) bool { return at.nodes[b.ID].canSign })
		c.why(b.ID, b.Absence, b.Unsigned, b.Challenge)
		c.demand(b.Pending != nil && b.Pending.ID == b.ID, "nothing is being done about %s", b.ID)
	}
	c.posture(s)
}

func (c *checker) posture(s *explain.Strict) {
	kind := map[bool]events.Type{true: events.TypeEnforcementEnabled, false: events.TypeEnforcementDisabled}[s.Is]
	if s.Since > 0 {
		c.is(s.Since, kind, "posture")
		c.demand(c.believed[s.Since-1].strict != s.Is && c.believed[s.Since].strict == s.Is, "strict %v since %d", s.Is, s.Since)
	}
	c.demand((s.Flip != nil) == s.Is, "strict %v, flip %+v", s.Is, s.Flip)
	if s.Flip == nil {
		return
	}
	c.demand(s.Flip.Sequence == s.Since, "flip at %d", s.Flip.Sequence)
	if s.Flip.ActionAt > 0 {
		c.is(s.Flip.ActionAt, events.TypeEnableStrictEnforcement, "flip")
	}
	if s.Flip.PlanAt > 0 {
		c.is(s.Flip.PlanAt, events.TypePlanDecided, "flip's plan")
	}
	for _, p := range s.Flip.Proofs {
		c.proof(p, s.Since)
	}
}

// proof: a node that did not stand in the way had appeared and proved, and both
// held up to the flip.
func (c *checker) proof(p explain.Proof, flip uint64) {
	if p.Present == 0 || p.Proved == 0 {
		n := c.believed[flip-1].nodes[p.ID]
		c.demand(!n.present || !n.canSign, "%s was ready at %d, and has no proof", p.ID, flip)
		return
	}
	c.is(p.Present, events.TypeNodeAppeared, "proof")
	c.is(p.Proved, events.TypeCredentialProved, "proof")
	for k := p.Present; k < flip; k++ {
		c.demand(c.believed[k].nodes[p.ID].present, "%s was not present at %d", p.ID, k)
	}
	for k := p.Proved; k < flip; k++ {
		c.demand(c.believed[k].nodes[p.ID].canSign, "%s could not sign at %d", p.ID, k)
	}
}
