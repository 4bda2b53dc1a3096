package engine

import (
	"sync"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Reconcile says what lies between the desired and the observed state, in
// apply order:
//
//  1. EnrollNode for each desired node that is not observed, or observed
//     absent, in inventory order;
//  2. IssueCredential for each desired node that is present and cannot sign,
//     in inventory order;
//  3. DecommissionNode for each observed node that is not desired, present or
//     not, in observed order;
//  4. DisableStrictEnforcement if the inventory is permissive and the fleet is
//     strict;
//  5. EnableStrictEnforcement if the inventory is strict, the fleet is not, and
//     every desired node is present and can sign.
//
// It always answers, changes neither input, and gives the same plan for the
// same inputs. Its cost is linear in the nodes of both. Neither argument may
// be nil. It is safe for concurrent use.
func Reconcile(desired *fleet.Inventory, observed *fleet.ObservedState) fleet.Plan {
	r := reconcilers.Get().(*Reconciler)
	defer reconcilers.Put(r)
	return r.Reconcile(desired, observed)
}

// reconcilers lends Reconcile its scratch memory.
var reconcilers = sync.Pool{New: func() any { return new(Reconciler) }}

// Reconciler gives the same plans as the function Reconcile and keeps its
// scratch memory from one decision to the next: once it has seen a fleet of
// some size, deciding on a converged one allocates nothing, whatever the order
// of the nodes. It remembers nothing else. The zero value is ready. It is for
// one caller at a time.
type Reconciler struct {
	seen   index
	wanted []bool // by position in the observed nodes: the inventory names it

	enroll, issue, decommission []fleet.NodeID
}

// Reconcile is the function Reconcile.
func (r *Reconciler) Reconcile(desired *fleet.Inventory, observed *fleet.ObservedState) fleet.Plan {
	if !settled(desired, observed) {
		r.compare(desired, observed)
	}
	plan := r.plan(desired.RequireSig, observed.StrictEnforced)
	r.forget()
	return plan
}

// settled is the short way for the common case: the observed nodes are the
// desired ones, in the same order, all present and able to sign.
func settled(desired *fleet.Inventory, observed *fleet.ObservedState) bool {
	rest := observed.Nodes
	for i := range desired.Regions {
		nodes := desired.Regions[i].Nodes
		if len(rest) < len(nodes) {
			return false
		}
		for j := range nodes {
			have := &rest[j]
			if !have.Present || !have.CanSign || have.ID != nodes[j].ID {
				return false
			}
		}
		rest = rest[len(nodes):]
	}
	return len(rest) == 0
}

// compare sorts the nodes of both sides into what each needs.
func (r *Reconciler) compare(desired *fleet.Inventory, observed *fleet.ObservedState) {
	r.seen.build(observed.Nodes)
	r.wanted = blank(r.wanted, len(observed.Nodes))
	for i := range desired.Regions {
		nodes := desired.Regions[i].Nodes
		for j := range nodes {
			r.compareNode(nodes[j].ID, observed.Nodes)
		}
	}
	for i, wanted := range r.wanted {
		// An id that stands twice is no ghost if its first mention is wanted.
		if id := observed.Nodes[i].ID; !wanted && !r.wanted[r.seen.find(id)] {
			r.decommission = append(r.decommission, id)
		}
	}
}

func (r *Reconciler) compareNode(id fleet.NodeID, observed []fleet.ObservedNode) {
	at := r.seen.find(id)
	if at >= 0 {
		r.wanted[at] = true
	}
	switch {
	case at < 0 || !observed[at].Present:
		r.enroll = append(r.enroll, id)
	case !observed[at].CanSign:
		r.issue = append(r.issue, id)
	}
}

// plan lays the actions out in phases.
func (r *Reconciler) plan(requireSig, strict bool) fleet.Plan {
	// Every desired node is present and can sign exactly when none of them is
	// to be enrolled or given a credential. Ghosts do not count.
	ready := len(r.enroll) == 0 && len(r.issue) == 0
	relax := !requireSig && strict
	enforce := requireSig && !strict && ready

	size := len(r.enroll) + len(r.issue) + len(r.decommission)
	if relax || enforce {
		size++
	}
	if size == 0 {
		return fleet.Plan{}
	}
	actions := make([]fleet.Action, 0, size)
	actions = appendActions(actions, fleet.EnrollNode, r.enroll)
	actions = appendActions(actions, fleet.IssueCredential, r.issue)
	actions = appendActions(actions, fleet.DecommissionNode, r.decommission)
	if relax {
		actions = append(actions, fleet.Action{Type: fleet.DisableStrictEnforcement})
	}
	if enforce {
		actions = append(actions, fleet.Action{Type: fleet.EnableStrictEnforcement})
	}
	return fleet.Plan{Actions: actions}
}

// forget drops what belongs to the caller, so that idle scratch memory does
// not keep an old fleet alive.
func (r *Reconciler) forget() {
	r.seen.nodes = nil
	r.enroll = emptied(r.enroll)
	r.issue = emptied(r.issue)
	r.decommission = emptied(r.decommission)
}

func emptied(ids []fleet.NodeID) []fleet.NodeID {
	clear(ids)
	return ids[:0]
}

func appendActions(to []fleet.Action, kind fleet.ActionType, ids []fleet.NodeID) []fleet.Action {
	for _, id := range ids {
		to = append(to, fleet.Action{Type: kind, ID: id})
	}
	return to
}

// blank returns n false values, in the memory of old if they fit.
func blank(old []bool, n int) []bool {
	if cap(old) < n {
		return make([]bool, n)
	}
	old = old[:n]
	clear(old)
	return old
}
