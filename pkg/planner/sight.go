package planner

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// sight remembers whom the last decision did not enrol for blindness. Nodes that
// were cut off together come back one after the other, and the first of them end
// the blindness: the others must not be enrolled in that moment.
type sight struct {
	blinded map[fleet.NodeID]bool
	since   time.Time // when blindness last ended
}

// regained says that somebody who was held for blindness is still lost and is
// held for it no more: until now, sight was lacking.
func (s *sight) regained(d decide.Decided, now time.Time) (yes bool) {
	blind := make(map[fleet.NodeID]bool)
	for _, h := range d.Held {
		if h.Type == fleet.EnrollNode && (h.Reason == engine.ReasonBlindFleet || h.Reason == engine.ReasonBlindRegion) {
			blind[h.ID] = true
		}
	}
	for _, a := range d.Plan.Actions {
		yes = yes || a.Type == fleet.EnrollNode && s.blinded[a.ID] && !blind[a.ID]
	}
	s.blinded = blind
	if yes {
		s.since = now
	}
	return yes
}
