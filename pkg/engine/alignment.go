package engine

import (
	"slices"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// alignment says which observed node is which desired one. To find that out costs
// a look-up in memory that is nowhere near for each node; to see that it still
// holds, a walk along both sides in their own order. An id has the same bytes for
// ever, so that one which lies where it lay need not be read to be compared.
type alignment struct {
	desired, observed []fleet.NodeID
	// place, by position in the observed nodes, is that of the desired node; none
	// where the inventory names no such node.
	place []int32
	// whole says that no id stands twice on a side: else nothing is known here.
	whole bool
}

const none = -1

// begin gives each observed node no place.
func (a *alignment) begin(desired *fleet.Inventory, observed []fleet.ObservedNode) {
	n := 0
	for i := range desired.Regions {
		n += len(desired.Regions[i].Nodes)
	}
	a.desired = slices.Grow(emptied(a.desired), n)
	a.observed = slices.Grow(emptied(a.observed), len(observed))
	a.place = slices.Grow(a.place[:0], len(observed))[:len(observed)]
	for i := range observed {
		a.place[i] = none
		a.observed = append(a.observed, observed[i].ID)
	}
	a.whole = true
}

// put notes that the next desired node is the observed one at a position, or none.
func (a *alignment) put(id fleet.NodeID, at int) {
	if at >= 0 {
		a.whole = a.whole && a.place[at] == none
		a.place[at] = int32(len(a.desired))
	}
	a.desired = append(a.desired, id)
}

// names says that the inventory names the observed node at a position.
func (a *alignment) names(at int) bool { return a.place[at] != none }

// holds says that both sides have the ids that they had, in the same order.
func (a *alignment) holds(desired *fleet.Inventory, observed []fleet.ObservedNode) bool {
	if !a.whole || len(observed) != len(a.observed) {
		return false
	}
	rest := a.desired
	for i := range desired.Regions {
		nodes := desired.Regions[i].Nodes
		if len(nodes) > len(rest) {
			return false
		}
		for j, id := range rest[:len(nodes)] {
			if nodes[j].ID != id {
				return false
			}
		}
		rest = rest[len(nodes):]
	}
	if len(rest) > 0 {
		return false
	}
	for i, id := range a.observed {
		if observed[i].ID != id {
			return false
		}
	}
	return true
}

// recompare sorts the nodes of both sides into what each needs, as compare does,
// by an alignment that holds.
func (r *Reconciler) recompare(observed []fleet.ObservedNode) {
	a := &r.alignment
	fine := 0
	for i := range observed {
		switch {
		case !a.names(i):
			r.needs.add(fleet.DecommissionNode, observed[i].ID)
		case lacks(observed[i]) == "":
			fine++
		}
	}
	if fine == len(a.desired) {
		return
	}
	r.have = slices.Grow(r.have[:0], len(a.desired))[:len(a.desired)]
	clear(r.have)
	for i := range observed {
		if a.names(i) {
			have := Observation{ObservedNode: observed[i]}
			r.have[a.place[i]] = have.status()
		}
	}
	for place, id := range a.desired {
		if kind := lacks(r.have[place].node()); kind != "" {
			r.needs.add(kind, id)
		}
	}
}
