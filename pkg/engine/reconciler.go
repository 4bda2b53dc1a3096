package engine

import (
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// Reconciler gives the same plans as the function Reconcile and keeps its
// scratch memory from one decision to the next: once it has seen a fleet of
// some size, deciding on a converged one allocates nothing, whatever the order
// of the nodes. It remembers nothing else. The zero value is ready. It is for
// one caller at a time.
type Reconciler struct {
	seen   seen
	strip  strip
	wanted []bool // by position in the observed nodes: the inventory names it
	needs  needs
}

// Reconcile is the function Reconcile.
func (r *Reconciler) Reconcile(desired *fleet.Inventory, observed *fleet.ObservedState) fleet.Plan {
	if !settled(desired, observed) {
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
	r.wanted = blank(r.wanted, len(observed.Nodes))
	for i := range desired.Regions {
		nodes := desired.Regions[i].Nodes
		for from := 0; from < len(nodes); from += len(r.strip.hash) {
			r.compareStrip(nodes[from:min(from+len(r.strip.hash), len(nodes))], observed.Nodes)
		}
	}
	for i, wanted := range r.wanted {
		if wanted {
			continue
		}
		// An id that stands twice is no ghost if its first mention is wanted.
		id := observed.Nodes[i].ID
		if first := r.seen.find(index.HashOf(string(id)), id); !r.wanted[first] {
			r.needs.add(fleet.DecommissionNode, id)
		}
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
		if at := s.find(&r.seen, i, desired[i].ID); at >= 0 {
			r.wanted[at] = true
			have = observed[at]
		}
		if kind := lacks(have); kind != "" {
			r.needs.add(kind, desired[i].ID)
		}
	}
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
