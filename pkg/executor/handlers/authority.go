package handlers

import (
	"bytes"

	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// bundle is the roots of a trust domain on the fold, one PEM text.
func bundle(view executor.View, domain string) string {
	var text []byte
	view.Read(func(s *projection.State) { text = bytes.Join(s.Bundle(domain), nil) })
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
