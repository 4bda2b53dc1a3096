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
	return AskedOfNode(d, a)
}

// AskedOfNode is StillAsked for an action of a node, which hangs on nothing but
// the inventory.
func AskedOfNode(d *Desired, a fleet.Action) bool {
	return (d.Node(a.ID) != nil) == (a.Type != fleet.DecommissionNode)
}

// Holds answers whether a safeguard holds an action that is published and not
// begun. It keeps the answer for the whole plan of the newest fold it was asked
// about, and finds it for the next one as Incremental does. The zero value is
// ready, for one log; it may be used from any goroutine.
type Holds struct {
	mu       sync.Mutex
	sequence uint64
	followed Incremental
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

// alone asks about one action without looking at anybody else's node. Of what stops
// an action in flight, nothing but a pause can stop these, and mostly there is none.
func alone(s *projection.State, d *Desired, a fleet.Action) (fleet.Held, bool) {
	if len(s.Pauses()) == 0 {
		return fleet.Held{}, false
	}
	at := inFlight(s)
	at.Desired, at.Observed = d.only(a.ID), observedOnly(s, a.ID)
	_, held := engine.Hold(fleet.Plan{Actions: []fleet.Action{a}}, at, Safeguards(s))
	h, ok := stopping(held)[a]
	return h, ok
}

// all asks about the whole plan, at most once for a fold and an inventory.
func (h *Holds) all(s *projection.State, d *Desired) map[fleet.Action]fleet.Held {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil || h.followed.desired != d || h.followed.state != s || h.sequence != s.Sequence() {
		h.followed.follow(s, d)
		_, _, held := h.followed.engine.Decide(inFlight(s), Safeguards(s))
		h.held, h.sequence = stopping(held), s.Sequence()
	}
	return h.held // not changed any more: the next fold gets a map of its own
}

// inFlight is the situation in which neither a clock nor sightings are asked for.
func inFlight(s *projection.State) engine.Situation {
	return engine.Situation{Facts: s, Settled: true}
}

// stopping is what stops an action that is published and not begun.
func stopping(all []fleet.Held) map[fleet.Action]fleet.Held {
	held := make(map[fleet.Action]fleet.Held)
	for _, h := range all {
		if engine.HoldsInFlight(h.Reason) {
			held[h.Action] = h
		}
	}
	return held
}
