package inventorydiff

import (
	"strconv"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// table is an inventory by names. Regions of one name are one region, as they
// are for whoever issues.
type table struct {
	fields        map[string]string
	regions       []string
	intermediates map[string]string
	nodes         []placed
	byID          map[fleet.NodeID]*placed
}

func tableOf(inv *fleet.Inventory) table {
	t := table{fields: map[string]string{}, intermediates: map[string]string{}, byID: map[fleet.NodeID]*placed{}}
	if inv == nil {
		return t
	}
	t.fields["trust_domain"], t.fields["root_ca"] = inv.TrustDomain, inv.RootCA
	t.fields["quorum.width"] = strconv.Itoa(inv.QuorumWidth)
	t.fields["enforcement.require_sig"] = strconv.FormatBool(inv.RequireSig)
	for i := range inv.Regions {
		region := &inv.Regions[i]
		if _, known := t.intermediates[region.Name]; !known {
			t.regions = append(t.regions, region.Name)
			t.intermediates[region.Name] = inv.RegionNamed(region.Name).IntermediateCA
		}
		for j := range region.Nodes {
			t.nodes = append(t.nodes, placed{&region.Nodes[j], region.Name})
		}
	}
	for i := range t.nodes {
		t.byID[t.nodes[i].ID] = &t.nodes[i]
	}
	return t
}

// within lists the nodes of a region in the order of the file.
func (t table) within(region string) (ids []fleet.NodeID) {
	for _, n := range t.nodes {
		if n.region == region {
			ids = append(ids, n.ID)
		}
	}
	return ids
}
