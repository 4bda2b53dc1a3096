package engine

import (
	"cmp"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// ghosts are the observed nodes that nobody desires, in observed order. A new one
// nearly always stands last; one that is gone leaves a hole until holes are the
// greater part.
type ghosts struct {
	list  []ghost
	order map[fleet.NodeID]uint64
}

// ghost with an empty id is a hole.
type ghost struct {
	order uint64
	id    fleet.NodeID
}

func (g *ghosts) len() int { return len(g.order) }

// put adds a node, or moves it. It says whether that changed anything.
func (g *ghosts) put(id fleet.NodeID, order uint64) bool {
	if old, known := g.order[id]; known {
		if old == order {
			return false
		}
		g.remove(id)
	}
	if g.order == nil {
		g.order = make(map[fleet.NodeID]uint64)
	}
	g.order[id] = order
	at, _ := g.search(order)
	g.list = slices.Insert(g.list, at, ghost{order, id})
	return true
}

func (g *ghosts) remove(id fleet.NodeID) bool {
	order, known := g.order[id]
	if !known {
		return false
	}
	delete(g.order, id)
	at, _ := g.search(order)
	for g.list[at].id != id { // holes may share an order with who took their place
		at++
	}
	g.list[at].id = ""
	if len(g.order) < len(g.list)/2 {
		g.list = slices.DeleteFunc(g.list, func(have ghost) bool { return have.id == "" })
	}
	return true
}

// search is where the first of an order stands or would stand.
func (g *ghosts) search(order uint64) (at int, found bool) {
	return slices.BinarySearchFunc(g.list, order, func(have ghost, order uint64) int { return cmp.Compare(have.order, order) })
}
