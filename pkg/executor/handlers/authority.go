package handlers

import (
	"crypto/x509"
	"encoding/pem"

	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// bundle is the roots of a trust domain on the fold that can be read, one PEM
// text: one that cannot must not keep agents from taking their credentials.
func bundle(view executor.View, domain string) string {
	var text []byte
	view.Read(func(s *projection.State) {
		for _, root := range s.Bundle(domain) {
			block, _ := pem.Decode(root)
			if block == nil {
				continue
			}
			if _, err := x509.ParseCertificate(block.Bytes); err == nil {
				text = append(text, root...)
			}
		}
	})
	return string(text)
}

// regionOf names the region that the inventory of the task has the node in.
func regionOf(inv *fleet.Inventory, id fleet.NodeID) string {
	if region := inv.RegionOf(id); region != nil {
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
