package projection

import (
	"sync"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// hole is no number of a cell.
const hole = 1<<32 - 1

// observed keeps who is observed, in order of first appearance. A removal only
// leaves a hole, so that it costs the same in a fleet of any size; the holes are
// closed when somebody looks, or when they are the greater part. The
// ObservedState is made when somebody asks for it, and kept from then on.
type observed struct {
	// mu lets many who only read close the holes: nothing but the counts is to be
	// read without it by any of them.
	mu    sync.Mutex
	state fleet.ObservedState
	asked bool // state has the nodes
	ids   *cells
	order []uint32 // numbers of cells; of the same length as state.Nodes, if asked
	slots []uint32 // by number of a cell: its place in order
	holes int      // in order
	// living counts the nodes, present and signing those that are and that can.
	living, present, signing int
}

// move takes note that there is now something else of the cell with that number.
func (o *observed) move(n int, before uint8, c *cell) {
	if before == c.has {
		return
	}
	o.living += bit(c.has, hasNode) - bit(before, hasNode)
	o.present += bit(c.has, isPresent) - bit(before, isPresent)
	o.signing += bit(c.has, hasProved) - bit(before, hasProved)
	switch {
	case before&hasNode == 0:
		o.add(n, c)
	case !c.observed():
		o.remove(n)
	case o.asked:
		o.state.Nodes[o.slots[n]] = c.seen()
	}
}

func bit(of, what uint8) int {
	if of&what != 0 {
		return 1
	}
	return 0
}

func (o *observed) add(n int, c *cell) {
	for len(o.slots) < o.ids.len {
		o.slots = append(o.slots, hole)
	}
	o.slots[n] = uint32(len(o.order))
	o.order = append(o.order, uint32(n))
	if o.asked {
		o.state.Nodes = append(o.state.Nodes, c.seen())
	}
}

func (o *observed) remove(n int) {
	o.order[o.slots[n]] = hole
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
	if !o.asked {
		o.asked = true
		o.state.Nodes = make([]fleet.ObservedNode, len(o.order))
		for i, n := range o.order {
			o.state.Nodes[i] = o.ids.at(int(n)).seen()
		}
	}
	return &o.state
}

// numbers of the cells of those who are observed, for who only reads.
func (o *observed) numbers() []uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.holes > 0 {
		o.compact()
	}
	return o.order
}

func (o *observed) compact() {
	kept := 0
	for i, n := range o.order {
		if n == hole {
			continue
		}
		o.order[kept], o.slots[n] = n, uint32(kept)
		if o.asked {
			o.state.Nodes[kept] = o.state.Nodes[i]
		}
		kept++
	}
	o.order, o.holes = o.order[:kept], 0
	if o.asked {
		clear(o.state.Nodes[kept:])
		o.state.Nodes = o.state.Nodes[:kept]
	}
}
