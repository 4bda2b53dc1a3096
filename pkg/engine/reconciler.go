package engine

import (
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// Reconciler gives the same plans as the function Reconcile and keeps its
// scratch memory from one decision to the next: once it has seen a fleet of
// some size, deciding on a converged one allocates nothing, whatever the order
// of the nodes. It remembers the ids of the last fleet and which of them met, for
// as long as they come in the order in which they came: then it need not look
// them up again. It remembers nothing else. The zero value is ready. It is for
// one caller at a time.
type Reconciler struct {
	seen      seen
	strip     strip
	alignment alignment
	have      []status // by place
	needs     needs
}

// Reconcile is the function Reconcile.
func (r *Reconciler) Reconcile(desired *fleet.Inventory, observed *fleet.ObservedState) fleet.Plan {
	switch {
	case settled(desired, observed):
	case r.alignment.holds(desired, observed.Nodes):
		r.recompare(observed.Nodes)
	default:
		r.compare(desired, observed)
	}
	plan := r.needs.plan(desired.RequireSig, observed.StrictEnforced)
	r.seen.nodes = nil
	r.needs.forget()
	return plan
}

// settled is the short way for the common case: the observed nodes are the
// desired ones, in the same order, and lack nothing.
func settled(desired *fleet.Inventory, observed *fleet.ObservedState) bool {
	rest := observed.Nodes
	for i := range desired.Regions {
		nodes := desired.Regions[i].Nodes
		if len(rest) < len(nodes) {
			return false
		}
		for j := range nodes {
			if lacks(rest[j]) != "" || rest[j].ID != nodes[j].ID {
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
	r.alignment.begin(desired, observed.Nodes)
	for i := range desired.Regions {
		nodes := desired.Regions[i].Nodes
		for from := 0; from < len(nodes); from += len(r.strip.hash) {
			r.compareStrip(nodes[from:min(from+len(r.strip.hash), len(nodes))], observed.Nodes)
		}
	}
	for i := range observed.Nodes {
		if !r.alignment.names(i) {
			r.compareUnnamed(i, observed.Nodes[i].ID)
		}
	}
}

// compareUnnamed looks at an observed node that no desired one was found to be.
func (r *Reconciler) compareUnnamed(at int, id fleet.NodeID) {
	first := r.seen.find(index.HashOf(string(id)), id)
	if first != at {
		r.alignment.whole = false
	}
	// An id that stands twice is no ghost if its first mention is wanted.
	if !r.alignment.names(first) {
		r.needs.add(fleet.DecommissionNode, id)
	}
}

// compareStrip looks at no more desired nodes than a strip holds.
func (r *Reconciler) compareStrip(desired []fleet.Node, observed []fleet.ObservedNode) {
	s := &r.strip
	for i := range desired {
		s.hash[i] = index.HashOf(string(desired[i].ID))
	}
	s.probe(&r.seen, len(desired))
	for i := range desired {
		var have fleet.ObservedNode
		at := s.find(&r.seen, i, desired[i].ID)
		if at >= 0 {
			have = observed[at]
		}
		r.alignment.put(desired[i].ID, at)
		if kind := lacks(have); kind != "" {
			r.needs.add(kind, desired[i].ID)
		}
	}
}
