package projection

import (
	"sync"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// hole is no number of a cell.
const hole = 1<<32 - 1

// observed keeps the ObservedState in order of first appearance. A removal
// only leaves a hole, so that it costs the same in a fleet of any size; the
// holes are closed when somebody looks, or when they are the greater part.
type observed struct {
	// mu lets many who only read close the holes: state, order, holes and the
	// cells' slots are not to be read without it by any of them.
	mu    sync.Mutex
	state fleet.ObservedState
	ids   *cells
	order []uint32 // numbers of cells, of the same length as state.Nodes
	holes int      // among them
	// living counts the nodes, present and signing those that are and that can.
	living, present, signing int
}

func (o *observed) add(r *record) {
	r.slot = len(o.order)
	o.order = append(o.order, uint32(r.at))
	o.state.Nodes = append(o.state.Nodes, r.node.observed())
	o.living++
	o.count(&o.state.Nodes[r.slot], 1)
}

func (o *observed) update(r *record) {
	have := &o.state.Nodes[r.slot]
	o.count(have, -1)
	*have = r.node.observed()
	o.count(have, 1)
}

func (o *observed) count(n *fleet.ObservedNode, by int) {
	if n.Present {
		o.present += by
	}
	if n.CanSign {
		o.signing += by
	}
}

func (o *observed) remove(r *record) {
	o.living--
	o.count(&o.state.Nodes[r.slot], -1)
	o.order[r.slot] = hole
	o.holes++
	if o.holes > len(o.order)/2 {
		o.compact()
	}
}

func (o *observed) get() *fleet.ObservedState {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.holes > 0 {
		o.compact()
	}
	return &o.state
}

func (o *observed) compact() {
	kept := 0
	for i, n := range o.order {
		if n == hole {
			continue
		}
		o.order[kept], o.state.Nodes[kept] = n, o.state.Nodes[i]
		o.ids.at(int(n)).slot = uint32(kept)
		kept++
	}
	clear(o.state.Nodes[kept:])
	o.order, o.state.Nodes, o.holes = o.order[:kept], o.state.Nodes[:kept], 0
}

func (n *life) observed() fleet.ObservedNode {
	return fleet.ObservedNode{ID: n.ID, Present: n.Present, CanSign: n.proved != nil}
}
