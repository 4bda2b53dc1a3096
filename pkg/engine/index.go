package engine

import (
	"hash/maphash"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// index finds a node of an observed state by id. It is an open-addressing
// table of which only the memory is kept from one decision to the next. The
// built-in map would do; this is two to three times as fast on large fleets,
// holds no pointers, and refilling it allocates nothing.
//
// The hash is seeded, so nobody can choose node ids that collide. The seed
// decides only where in the table an entry lies, never what a decision says.
type index struct {
	nodes []fleet.ObservedNode
	// slots holds, for each entry, the upper half of the id's hash and, in the
	// lower half, the position in nodes plus one; 0 is a free slot. The length
	// is a power of two, at least twice the number of nodes.
	slots []uint64
}

var seed = maphash.MakeSeed()

const hashHalf = uint64(1<<32-1) << 32

// build indexes nodes. Of an id that stands twice, the first is kept.
func (x *index) build(nodes []fleet.ObservedNode) {
	size := 8
	for size < 2*len(nodes) {
		size *= 2
	}
	if cap(x.slots) < size {
		x.slots = make([]uint64, size)
	} else {
		x.slots = x.slots[:size]
		clear(x.slots)
	}
	x.nodes = nodes
	for i := range nodes {
		slot, hash, found := x.probe(nodes[i].ID)
		if found < 0 {
			x.slots[slot] = hash&hashHalf | uint64(i+1)
		}
	}
}

// find returns the position of id among the indexed nodes, or -1.
func (x *index) find(id fleet.NodeID) int {
	if len(x.nodes) == 0 {
		return -1
	}
	_, _, found := x.probe(id)
	return found
}

// probe returns the slot where id is or would go, its hash, and its position
// among the nodes, or -1.
func (x *index) probe(id fleet.NodeID) (slot, hash uint64, found int) {
	hash = maphash.String(seed, string(id))
	mask := uint64(len(x.slots) - 1)
	for slot = hash & mask; ; slot = (slot + 1) & mask {
		entry := x.slots[slot]
		if entry == 0 {
			return slot, hash, -1
		}
		if entry&hashHalf != hash&hashHalf {
			continue
		}
		if at := int(entry&^hashHalf) - 1; x.nodes[at].ID == id {
			return slot, hash, at
		}
	}
}
