package decide

import (
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// Desired is an inventory with an index of its nodes. It must not change.
type Desired struct {
	Inventory *fleet.Inventory
	index     *index.Inventory
}

// NewDesired indexes an inventory; nil stands for the empty one, under which
// nothing is wanted.
func NewDesired(inventory *fleet.Inventory) *Desired {
	if inventory == nil {
		inventory = new(fleet.Inventory)
	}
	return &Desired{Inventory: inventory, index: index.NewInventory(inventory)}
}

// Node is the inventory's entry of a node; nil if it names no such node.
func (d *Desired) Node(id fleet.NodeID) *fleet.Node {
	if place := d.index.Place(id); place >= 0 {
		return d.index.Node(place)
	}
	return nil
}

// Region is the name of the region of a node; empty if the inventory names no
// such node.
func (d *Desired) Region(id fleet.NodeID) string {
	if place := d.index.Place(id); place >= 0 {
		return d.Inventory.Regions[d.index.Region(place)].Name
	}
	return ""
}

// only is the inventory as far as it concerns one node.
func (d *Desired) only(id fleet.NodeID) *fleet.Inventory {
	node := d.Node(id)
	if node == nil {
		return new(fleet.Inventory)
	}
	return &fleet.Inventory{Regions: []fleet.Region{{Name: d.Region(id), Nodes: []fleet.Node{*node}}}}
}
