package status

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Rotation is a wish to renew credentials that is not fulfilled yet.
type Rotation struct {
	fleet.Target
	// Sequence: what was issued before it is to be renewed.
	Sequence      uint64    `json:"sequence"`
	Since         time.Time `json:"since"`
	RatePerSecond float64   `json:"rate_per_second"`
	Actor         string    `json:"actor"`
	Note          string    `json:"note,omitempty"`
	// Remaining counts the nodes that have not proved a newer credential.
	Remaining int `json:"remaining"`
}

func rotations(st *projection.State, inv *fleet.Inventory) (list []Rotation) {
	for _, r := range st.Rotations() {
		if remaining := Unrotated(st, inv, r.Target, r.Sequence); remaining > 0 {
			list = append(list, Rotation{
				Target: r.Target, Sequence: r.Sequence, Since: r.At.UTC(), RatePerSecond: r.RatePerSecond,
				Actor: r.Actor, Note: r.Note, Remaining: remaining,
			})
		}
	}
	return list
}

// Unrotated counts the desired nodes of a target that still use what they were
// issued before a sequence. One that can sign with nothing is none of them: the
// next credential it gets is newer.
func Unrotated(st *projection.State, inv *fleet.Inventory, target fleet.Target, sequence uint64) (count int) {
	if inv == nil {
		return 0
	}
	for _, region := range inv.Regions {
		for i := range region.Nodes {
			n, _ := st.Node(region.Nodes[i].ID)
			if target.Covers(region.Name, region.Nodes[i].ID) && n.Proved != nil && n.Proved.Sequence < sequence {
				count++
			}
		}
	}
	return count
}

// Covered counts the desired nodes of a target.
func Covered(inv *fleet.Inventory, target fleet.Target) (count int) {
	if inv == nil {
		return 0
	}
	for _, region := range inv.Regions {
		for i := range region.Nodes {
			if target.Covers(region.Name, region.Nodes[i].ID) {
				count++
			}
		}
	}
	return count
}
