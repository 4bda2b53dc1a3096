package projection

import (
	"cmp"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Rotation says that a person wants every credential of a target renewed that
// was issued before Sequence.
type Rotation struct {
	fleet.Target
	// Sequence of rotation.requested, and At when the log stored it.
	Sequence uint64
	At       time.Time
	// RatePerSecond bounds how many nodes are asked a second.
	RatePerSecond float64
	Actor, Note   string
}

// Rotations lists what was last asked for: of the fleet, then of regions, then
// of nodes, by name. One that is done stays until a newer one takes its place:
// whether it is done follows from when credentials were issued.
func (s *State) Rotations() []Rotation {
	list := make([]Rotation, 0, len(s.rotations))
	for _, r := range s.rotations {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Rotation) int {
		return cmp.Or(cmp.Compare(width(b.Scope), width(a.Scope)), cmp.Compare(a.Region, b.Region), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// RotationDue is the newest rotation that covers a node of a region and that
// the credential it has proved is older than; false if there is none. A node
// that has proved none needs no rotation: it is to be issued one anyway.
func (s *State) RotationDue(id fleet.NodeID, region string) (due Rotation, isDue bool) {
	if len(s.rotations) == 0 || !s.CanSign(id) {
		return Rotation{}, false
	}
	issued := s.ids.proved(s.ids.get(id)).sequence
	for _, t := range [...]fleet.Target{
		{Scope: fleet.ScopeFleet}, {Scope: fleet.ScopeRegion, Region: region}, {Scope: fleet.ScopeNode, ID: id},
	} {
		if next, ok := s.rotations[t]; ok && next.Sequence > issued && next.Sequence > due.Sequence {
			due, isDue = next, true
		}
	}
	return due, isDue
}

// rotate takes the newest rotation of each target. One of the fleet takes the
// place of all that were asked for before.
func (s *State) rotate(at time.Time, d *events.RotationRequested) bool {
	if d.Scope == fleet.ScopeFleet {
		clear(s.rotations)
	}
	s.rotations[d.Target] = Rotation{
		Target: d.Target, Sequence: s.sequence, At: at, RatePerSecond: d.RatePerSecond, Actor: d.Actor, Note: d.Note,
	}
	return true
}
