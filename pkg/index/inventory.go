package index

import (
	"sort"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Inventory finds the nodes of an inventory by id. Places count from 0 in
// inventory order: region by region, each in the order of the file.
type Inventory struct {
	inventory *fleet.Inventory
	table     Table
	starts    []int // place of each region's first node
	length    int
}

// NewInventory indexes an inventory, which must not change from here on. Of an id
// that stands twice, the first is found.
func NewInventory(inv *fleet.Inventory) *Inventory {
	x := &Inventory{inventory: inv, starts: make([]int, len(inv.Regions))}
	for i := range inv.Regions {
		x.starts[i] = x.length
		x.length += len(inv.Regions[i].Nodes)
	}
	x.table.Reset(x.length)
	place := 0
	for node := range inv.Nodes() {
		if x.Place(node.ID) < 0 {
			x.table.Add(HashOf(string(node.ID)), place)
		}
		place++
	}
	return x
}

// Inventory is what was indexed.
func (x *Inventory) Inventory() *fleet.Inventory { return x.inventory }

// Len is the number of places.
func (x *Inventory) Len() int { return x.length }

// Place of the node with that id; -1 if the inventory names no such node.
func (x *Inventory) Place(id fleet.NodeID) int {
	h := HashOf(string(id))
	place, next := x.table.Probe(h, x.table.Start(h))
	for place >= 0 && x.Node(place).ID != id {
		place, next = x.table.Probe(h, next)
	}
	return place
}

// Node at a place.
func (x *Inventory) Node(place int) *fleet.Node {
	r := x.Region(place)
	return &x.inventory.Regions[r].Nodes[place-x.starts[r]]
}

// Region is the number, in the order of the file, of the region that a place is in.
func (x *Inventory) Region(place int) int {
	if len(x.starts) == 1 {
		return 0
	}
	// Of regions that begin at one place, all but the last are empty.
	return sort.Search(len(x.starts), func(i int) bool { return x.starts[i] > place }) - 1
}

// Start is the place of a region's first node, and of the next region's for one
// that is empty.
func (x *Inventory) Start(region int) int { return x.starts[region] }
