package index_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// The index finds what a scan finds, in inventories with empty regions, and with
// ids that stand twice.
func TestAnInventoryIsFoundAsByAScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Map(rapid.IntRange(0, 20), func(n int) fleet.NodeID { return fleet.NodeID(fmt.Sprint("n", n)) })
		inv := new(fleet.Inventory)
		for range rapid.IntRange(0, 4).Draw(t, "regions") {
			var r fleet.Region
			for _, id := range rapid.SliceOfN(id, 0, 5).Draw(t, "nodes") {
				r.Nodes = append(r.Nodes, fleet.Node{ID: id})
			}
			inv.Regions = append(inv.Regions, r)
		}
		x := index.NewInventory(inv)
		if x.Len() != inv.Len() || x.Inventory() != inv {
			t.Fatalf("%d places of %d", x.Len(), inv.Len())
		}
		for n := range 21 {
			id := fleet.NodeID(fmt.Sprint("n", n))
			place, want := x.Place(id), inv.Find(id)
			if want == nil {
				if place >= 0 {
					t.Fatalf("%s is found at %d", id, place)
				}
				continue
			}
			if got := x.Node(place); got != want || &inv.Regions[x.Region(place)] != inv.RegionOf(id) || place < x.Start(x.Region(place)) {
				t.Fatalf("%s is found at %d, as %+v", id, place, got)
			}
		}
	})
}
