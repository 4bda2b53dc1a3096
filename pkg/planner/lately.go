package planner

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// lately remembers when something last happened to a node, for a lease at least
// and for two at most: a whole fleet comes at once, and nobody asks later.
type lately struct {
	lease       time.Duration
	now, before map[fleet.NodeID]time.Time
	since       time.Time // of what stands in now
}

// note remembers that it happened.
func (l *lately) note(id fleet.NodeID, at time.Time) {
	if age := at.Sub(l.since); l.now == nil || age >= l.lease {
		l.before, l.now, l.since = l.now, make(map[fleet.NodeID]time.Time), at
		if age >= 2*l.lease {
			l.before = nil // all of it was noted within the first lease
		}
	}
	l.now[id] = at
}

// last is when it happened; zero: not lately.
func (l *lately) last(id fleet.NodeID) time.Time {
	if at, noted := l.now[id]; noted {
		return at
	}
	return l.before[id]
}

func (l *lately) forget(id fleet.NodeID) {
	delete(l.now, id)
	delete(l.before, id)
}
