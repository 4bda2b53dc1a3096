package planner

import (
	"container/heap"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// veil notes that what a node said last cannot be read. It takes the place of
// the heartbeat before it, so that the server will not say when that lease ends,
// and a node whose every word is rubbish would count as present for ever. The
// lease it had may run for as long as leases do, and not longer.
func (s *sensor) veil(id fleet.NodeID, now time.Time) {
	if _, veiled := s.veiled[id]; veiled || s.presence[id].beat == nil {
		return
	}
	until := now.Add(s.lease)
	s.veiled[id] = until
	heap.Push(&s.alarms, alarm{until, id})
}

// unveil ends the lease of a node that said nothing readable for a whole one.
func (s *sensor) unveil(id fleet.NodeID, now time.Time) {
	if until, veiled := s.veiled[id]; veiled && !now.Before(until) {
		delete(s.veiled, id)
		s.presence[id] = presence{at: until.UnixNano()}
	}
}
