package decide

import (
	"sync"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Wanted says whether engine.Reconcile asks for an action on this fold. For an
// action of a node it is shown that node only, so that the cost of a fleet of
// any size stays that of one.
func Wanted(s *projection.State, d *Desired, a fleet.Action) bool {
	if !a.Type.ConcernsNode() {
		return engine.Reconcile(d.Inventory, s.Observed()).Has(a)
	}
	return engine.Reconcile(d.only(a.ID), observedOnly(s, a.ID)).Has(a)
}

func observedOnly(s *projection.State, id fleet.NodeID) *fleet.ObservedState {
	var observed fleet.ObservedState
	if node, ok := s.Node(id); ok {
		observed.Nodes = []fleet.ObservedNode{{ID: id, Present: node.Present, CanSign: s.CanSign(id)}}
	}
	return &observed
}

// StillAsked says whether the inventory still asks for what a handler is doing.
// That its node has meanwhile appeared is the handler's own work, and does not
// make it unwanted.
func StillAsked(s *projection.State, d *Desired, a fleet.Action) bool {
	if !a.Type.ConcernsNode() {
		return Wanted(s, d, a)
	}
	return (d.Node(a.ID) != nil) == (a.Type != fleet.DecommissionNode)
}

// Holds answers whether a safeguard holds an action that is published and not
// begun. It keeps the answer for the whole plan of the newest fold it was asked
// about. The zero value is ready, for one log; it may be used from any goroutine.
type Holds struct {
	mu       sync.Mutex
	sequence uint64
	desired  *Desired // nil: nothing is kept
	held     map[fleet.Action]fleet.Held
}

// Of says why an action that is wanted on this fold must not begin; false if it
// may. Only the reasons of engine.HoldsInFlight count, so that neither a clock
// nor sightings are asked for, and the safeguards are those that Safeguards
// reads from the log.
func (h *Holds) Of(s *projection.State, d *Desired, a fleet.Action) (fleet.Held, bool) {
	switch a.Type {
	case fleet.DisableStrictEnforcement:
		return fleet.Held{}, false
	case fleet.IssueCredential:
		return alone(s, d, a)
	case fleet.EnrollNode:
		if !s.Lost(a.ID) { // who is not lost is in no census of the lost
			return alone(s, d, a)
		}
	}
	held, ok := h.all(s, d)[a]
	return held, ok
}

// alone asks about one action without looking at anybody else's node.
func alone(s *projection.State, d *Desired, a fleet.Action) (fleet.Held, bool) {
	plan := fleet.Plan{Actions: []fleet.Action{a}}
	held, ok := inFlight(s, d.only(a.ID), observedOnly(s, a.ID), plan)[a]
	return held, ok
}

// all asks about the whole plan, at most once for a fold and an inventory.
func (h *Holds) all(s *projection.State, d *Desired) map[fleet.Action]fleet.Held {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.desired != d || h.sequence != s.Sequence() {
		plan := engine.Reconcile(d.Inventory, s.Observed())
		h.held = inFlight(s, d.Inventory, s.Observed(), plan)
		h.desired, h.sequence = d, s.Sequence()
	}
	return h.held // not changed any more: the next fold gets a map of its own
}

func inFlight(s *projection.State, inv *fleet.Inventory, observed *fleet.ObservedState, plan fleet.Plan) map[fleet.Action]fleet.Held {
	situation := engine.Situation{Desired: inv, Observed: observed, Facts: s, Settled: true}
	_, all := engine.Hold(plan, situation, Safeguards(s))
	held := make(map[fleet.Action]fleet.Held)
	for _, h := range all {
		if engine.HoldsInFlight(h.Reason) {
			held[h.Action] = h
		}
	}
	return held
}
