package handlers

import (
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// bundle is all roots of the fold, one PEM text.
func bundle(view executor.View) string {
	var text []byte
	view.Read(func(s *projection.State) {
		for _, root := range s.Trust() {
			text = append(text, root...)
		}
	})
	return string(text)
}

// regionOf names the region that the inventory of the task has the node in.
func regionOf(t executor.Task) string {
	if region := t.Inventory.RegionOf(t.Node.ID); region != nil {
		return region.Name
	}
	return ""
}

// nodeNow reads one node of the fold.
func nodeNow(view executor.View, id fleet.NodeID) (node projection.Node, signs bool, last uint64) {
	view.Read(func(s *projection.State) {
		node, _ = s.Node(id)
		signs, last = s.CanSign(id), s.LastNode(id)
	})
	return node, signs, last
}
