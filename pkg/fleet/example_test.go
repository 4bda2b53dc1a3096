package fleet_test

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func ExampleParseNodeID() {
	id, err := fleet.ParseNodeID("region/nyc/node-1")
	fmt.Println(id, err)
	_, err = fleet.ParseNodeID("region/../node-1")
	fmt.Println(err)
	// Output:
	// region/nyc/node-1 <nil>
	// node id contains ".."
}

func ExampleInventory_Nodes() {
	desired := fleet.Inventory{Regions: []fleet.Region{
		{Name: "nyc", Nodes: []fleet.Node{{ID: "node-9"}, {ID: "node-1"}}},
		{Name: "ams", Nodes: []fleet.Node{{ID: "node-5"}}},
	}}
	for node := range desired.Nodes() {
		fmt.Println(node.ID)
	}
	// Output:
	// node-9
	// node-1
	// node-5
}
