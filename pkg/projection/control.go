package projection

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Approval says that a person approved a set of decommissions.
type Approval struct {
	ID fleet.ApprovalID
	// Basis is the sequence at which the set was what the inventory in force
	// asked for.
	Basis       uint64
	Actor, Note string
}

// control is what people decided: what is paused, and what is approved under
// the inventory in force.
type control struct {
	pauses    map[fleet.Target]fleet.Pause
	approvals []Approval
	// approvedTo is the highest basis of an approval.
	approvedTo uint64
}

// Paused returns the pause of exactly that target, if it is paused.
func (s *State) Paused(t fleet.Target) (fleet.Pause, bool) {
	p, ok := s.control.pauses[t]
	return p, ok
}

// Pauses lists what is paused: the fleet, then regions, then nodes, by name.
func (s *State) Pauses() []fleet.Pause {
	list := make([]fleet.Pause, 0, len(s.control.pauses))
	for _, p := range s.control.pauses {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b fleet.Pause) int {
		return cmp.Or(cmp.Compare(width(b.Scope), width(a.Scope)), cmp.Compare(a.Region, b.Region), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// width orders the scopes: the wider, the more.
func width(s fleet.Scope) int {
	return slices.Index([]fleet.Scope{fleet.ScopeNode, fleet.ScopeRegion, fleet.ScopeFleet}, s)
}

// Approvals lists what was approved under the inventory in force, oldest first.
func (s *State) Approvals() []Approval { return slices.Clone(s.control.approvals) }

// Approved returns the approval of that id under the inventory in force.
func (s *State) Approved(id fleet.ApprovalID) (Approval, bool) {
	at := slices.IndexFunc(s.control.approvals, func(a Approval) bool { return a.ID == id })
	if at < 0 {
		return Approval{}, false
	}
	return s.control.approvals[at], true
}

// RemovalApproved says that the present life of a node had begun at the basis
// of an approval. All approvals that count were given under one inventory, so
// if that does not name the node, it was in the approved set. It stays approved
// while the set shrinks: what is left of an approved removal needs no other.
func (s *State) RemovalApproved(id fleet.NodeID) bool {
	c := s.ids.get(id)
	return c.observed() && c.began <= s.control.approvedTo
}

// Lost says that a node is observed absent, and did not say farewell.
func (s *State) Lost(id fleet.NodeID) bool {
	return s.ids.get(id).lost()
}

// LostAt is since when a node is lost; false if it is not.
func (s *State) LostAt(id fleet.NodeID) (since time.Time, lost bool) {
	c := s.ids.get(id)
	if !c.lost() {
		return time.Time{}, false
	}
	losses := c.more().losses
	return losses[len(losses)-1], true
}

// maxLosses is how many losses of a node are remembered: more than any
// threshold of the penalty.
const maxLosses = 16

// noteLoss remembers a loss for the penalty.
func (c *cells) noteLoss(of *cell, at time.Time) {
	b := c.besides(of)
	if len(b.losses) == maxLosses {
		b.losses = slices.Delete(b.losses, 0, 1)
	}
	b.losses = append(b.losses, at)
}

// FlapPenalty is 1 for each loss in the node's present life, halved by every
// half-life that has passed since. It counts the 16 newest.
func (s *State) FlapPenalty(id fleet.NodeID, now time.Time, halfLife time.Duration) float64 {
	penalty := 0.0
	for _, at := range s.ids.get(id).more().losses {
		age := max(now.Sub(at), 0) // the log's clock may be ahead of the caller's
		penalty += math.Exp2(-float64(age) / float64(halfLife))
	}
	return penalty
}

func (s *State) applyControl(at time.Time, e *events.Event) (changed, fits bool) {
	switch d := e.Data.(type) {
	case *events.ControlPaused:
		if d == nil || e.Type != events.TypeControlPaused || !d.Valid() || d.ID != e.Node {
			return false, false
		}
		return s.pause(fleet.Pause{Target: d.Target, Actor: d.Actor, Note: d.Note, Since: at}), true
	case *events.ControlResumed:
		if d == nil || e.Type != events.TypeControlResumed || !d.Valid() || d.ID != e.Node {
			return false, false
		}
		_, paused := s.control.pauses[d.Target]
		delete(s.control.pauses, d.Target)
		return paused, true
	case *events.RotationRequested:
		if d == nil || e.Type != events.TypeRotationRequested || !d.Valid() || d.ID != e.Node || d.RatePerSecond <= 0 {
			return false, false
		}
		return s.rotate(at, d), true
	case *events.PlanApproved:
		if d == nil || e.Type != events.TypePlanApproved {
			return false, false
		}
		return s.approve(Approval{ID: d.Approval, Basis: d.Basis, Actor: d.Actor, Note: d.Note}), true
	}
	return false, false
}

// pause leaves what is paused already to whoever paused it first.
func (s *State) pause(p fleet.Pause) bool {
	if _, paused := s.control.pauses[p.Target]; paused {
		return false
	}
	s.control.pauses[p.Target] = p
	return true
}

// approve takes an approval of what was decided under the inventory in force,
// and of nothing that is still to come.
func (s *State) approve(a Approval) bool {
	if a.Basis < s.inventory.Sequence || a.Basis >= s.sequence || s.inventory.Sequence == 0 {
		return false
	}
	if old, known := s.Approved(a.ID); known && old.Basis >= a.Basis {
		return false
	}
	s.control.approvals = append(slices.DeleteFunc(s.control.approvals, func(b Approval) bool { return b.ID == a.ID }), a)
	s.control.approvedTo = max(s.control.approvedTo, a.Basis)
	return true
}

// forgetApprovals is for another inventory: it is another plan.
func (s *State) forgetApprovals() { s.control.approvals, s.control.approvedTo = nil, 0 }
