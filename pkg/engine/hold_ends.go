package engine

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// lostWaitEnds is when it is clear that a lost node is alone in that: the time
// between two heartbeats after its loss, and after many others came back.
func lostWaitEnds(id fleet.NodeID, s Situation, g Safeguards) time.Time {
	since, _ := s.Facts.LostAt(id)
	if s.SightSince.After(since) {
		since = s.SightSince
	}
	return since.Add(g.LostWait)
}

func flapEnds(id fleet.NodeID, s Situation, g Safeguards) time.Time {
	return g.FlapEnds(s.Facts.FlapPenalty(id, s.Now, g.FlapHalfLife), s.Now)
}

// HoldEnds is when time alone ends the first of the holds; zero: it ends none
// of them. The situation is the one of Hold, and so are the safeguards.
func HoldEnds(held []fleet.Held, s Situation, g Safeguards) (first time.Time) {
	for _, h := range held {
		var at time.Time
		switch h.Reason {
		case ReasonJustLost:
			at = lostWaitEnds(h.ID, s, g)
		case ReasonFlapping:
			at = flapEnds(h.ID, s, g)
		default:
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}
