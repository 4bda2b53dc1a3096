package planner

import "github.com/fleetfold/fleetfold/pkg/fleet"

// regions is an index of one inventory: proofs come by the thousand, and an
// inventory finds a node by looking at each.
type regions struct {
	digest string
	byNode map[fleet.NodeID]string
}

// of is the region of a node; empty for one that the inventory does not name.
func (r *regions) of(digest string, inv *fleet.Inventory, id fleet.NodeID) string {
	if r.digest != digest {
		r.digest, r.byNode = digest, make(map[fleet.NodeID]string, inv.Len())
		for i := range inv.Regions {
			for n := range inv.Regions[i].Nodes {
				r.byNode[inv.Regions[i].Nodes[n].ID] = inv.Regions[i].Name
			}
		}
	}
	return r.byNode[id]
}
