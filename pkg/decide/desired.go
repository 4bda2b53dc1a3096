package decide

import "github.com/fleetfold/fleetfold/pkg/fleet"

// Desired is an inventory with an index of its nodes. It must not change.
type Desired struct {
	Inventory *fleet.Inventory
	places    map[fleet.NodeID]place
}

type place struct {
	node   *fleet.Node
	region string
}

// NewDesired indexes an inventory; nil stands for the empty one, under which
// nothing is wanted.
func NewDesired(inventory *fleet.Inventory) *Desired {
	if inventory == nil {
		inventory = new(fleet.Inventory)
	}
	d := &Desired{Inventory: inventory, places: make(map[fleet.NodeID]place)}
	for i := range inventory.Regions {
		region := &inventory.Regions[i]
		for j := range region.Nodes {
			node := &region.Nodes[j]
			d.places[node.ID] = place{node, region.Name}
		}
	}
	return d
}

// Node is the inventory's entry of a node; nil if it names no such node.
func (d *Desired) Node(id fleet.NodeID) *fleet.Node { return d.places[id].node }

// only is the inventory as far as it concerns one node.
func (d *Desired) only(id fleet.NodeID) *fleet.Inventory {
	p := d.places[id]
	if p.node == nil {
		return new(fleet.Inventory)
	}
	return &fleet.Inventory{Regions: []fleet.Region{{Name: p.region, Nodes: []fleet.Node{*p.node}}}}
}
