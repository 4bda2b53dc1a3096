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

// lacks is the rule of one desired node: what it needs, given what is observed of
// it; empty if it is fine. A node that is not observed is the zero one.
func lacks(have fleet.ObservedNode) fleet.ActionType {
	switch {
	case !have.Present:
		return fleet.EnrollNode
	case !have.CanSign:
		return fleet.IssueCredential
	}
	return ""
}

// flip is the rule of the fleet: whether its enforcement is to change, and to
// what; empty if not. ready says that every desired node is present and can sign:
// that none of them lacks anything. Ghosts do not count.
func flip(requireSig, strict, ready bool) fleet.ActionType {
	switch {
	case !requireSig && strict:
		return fleet.DisableStrictEnforcement
	case requireSig && !strict && ready:
		return fleet.EnableStrictEnforcement
	}
	return ""
}

// needs are the nodes that need something, in the order of the plan.
type needs struct{ enroll, issue, decommission []fleet.NodeID }

// plan lays the needs out in phases.
func (n *needs) plan(requireSig, strict bool) fleet.Plan {
	last := flip(requireSig, strict, len(n.enroll) == 0 && len(n.issue) == 0)
	size := len(n.enroll) + len(n.issue) + len(n.decommission)
	if last != "" {
		size++
	}
	if size == 0 {
		return fleet.Plan{}
	}
	actions := make([]fleet.Action, 0, size)
	actions = appendActions(actions, fleet.EnrollNode, n.enroll)
	actions = appendActions(actions, fleet.IssueCredential, n.issue)
	actions = appendActions(actions, fleet.DecommissionNode, n.decommission)
	if last != "" {
		actions = append(actions, fleet.Action{Type: last})
	}
	return fleet.Plan{Actions: actions}
}

func (n *needs) add(kind fleet.ActionType, id fleet.NodeID) {
	switch kind {
	case fleet.EnrollNode:
		n.enroll = append(n.enroll, id)
	case fleet.IssueCredential:
		n.issue = append(n.issue, id)
	case fleet.DecommissionNode:
		n.decommission = append(n.decommission, id)
	}
}

// forget drops what belongs to the caller, so that idle scratch memory does
// not keep an old fleet alive.
func (n *needs) forget() {
	n.enroll, n.issue, n.decommission = emptied(n.enroll), emptied(n.issue), emptied(n.decommission)
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
