package planner

import (
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Why the sensor calls a node lost or a credential revoked.
const (
	// LostLeaseExpired: the server ended the node's lease.
	LostLeaseExpired fleet.Reason = "lease_expired"
	// LostNoLease: a whole lease passed after the start without a sign of it.
	LostNoLease fleet.Reason = "no_lease"
	// RevokedCredentialLost: the node came back without the credential it had proved.
	RevokedCredentialLost fleet.Reason = "credential_lost"
)

// presence is what the lease stream last said of a node. There is one for each
// node of the fleet, so it is small: what the beat says is shared with the
// reader of leases.
type presence struct {
	beat *events.Heartbeat // nil: the lease has ended
	at   int64             // when it was stored, in Unix nanoseconds
	// agreed: the log once called the node present in the session of the beat.
	agreed bool
	// told: the log once named the bundle of the beat.
	told bool
	// outlived: the log has ended the node's life or its presence since, or has a
	// proof or a bundle that is newer. Whoever goes on beating after that is looked at again,
	// whether or not its session is a new one.
	outlived bool
}

func (p presence) when() time.Time { return time.Unix(0, p.at) }

// sensor turns observations into the facts that the log lacks. It does no I/O
// and reads no clock.
type sensor struct {
	lease    time.Duration
	presence map[fleet.NodeID]presence
	// agenda lists the nodes about which the log and the world may disagree.
	agenda agenda
	// proofs are verified statements on their way to the log.
	proofs map[fleet.NodeID]*events.Event
	// unseen are the nodes that are present on the log's word alone, each with
	// when a whole lease of watching will have passed without a sign of it; nil
	// until watching began.
	unseen   map[fleet.NodeID]time.Time
	caughtUp bool
	// warmAt is when one whole lease will have been watched.
	warmAt time.Time
	warm   bool
	alarms alarms
	// expiring is the credential whose end has an alarm, by where the log issued it:
	// a serial would be a text for each node.
	expiring map[fleet.NodeID]uint64
	// sessions is when a node's session last changed on the log, so that two
	// processes that claim one id cannot fill the log with their quarrel.
	sessions lately
	// reported is when a node's bundle last changed on the log, for the same reason.
	reported lately
	// veiled is until when a node may be present whose newest heartbeat could not
	// be read: that one took the place of the lease, whose end nobody will tell.
	veiled map[fleet.NodeID]time.Time
	// damped are the nodes of which something waits for an alarm.
	damped map[fleet.NodeID]struct{}
}

func newSensor(lease time.Duration) *sensor {
	return &sensor{
		lease:    lease,
		presence: make(map[fleet.NodeID]presence),
		proofs:   make(map[fleet.NodeID]*events.Event),
		expiring: make(map[fleet.NodeID]uint64),
		sessions: lately{lease: lease},
		reported: lately{lease: lease},
		damped:   make(map[fleet.NodeID]struct{}),
		veiled:   make(map[fleet.NodeID]time.Time),
	}
}

// see notes a sighting. A heartbeat that only renews a lease is no news: that
// is nearly all of them. The marker of a lease that ended before anyone watched
// says as little as no lease at all: the node may be on its way back, and has a
// whole lease's time for it.
func (s *sensor) see(sighting eventlog.Sighting) {
	before, known := s.presence[sighting.Node]
	now := sighting.Heartbeat
	if now == nil && (!known || before.beat == nil) {
		return
	}
	delete(s.unseen, sighting.Node)
	delete(s.veiled, sighting.Node)
	same := known && !before.outlived && saysTheSame(before.beat, now)
	s.presence[sighting.Node] = presence{beat: now, at: sighting.Time.UnixNano(), agreed: same && before.agreed, told: same && before.told}
	if !same {
		s.agenda.add(sighting.Node)
	}
}

// saysTheSame of two heartbeats, either of which may be nil. A renewal mostly is
// the very heartbeat that it renews.
func saysTheSame(before, now *events.Heartbeat) bool {
	if before == nil || now == nil {
		return false
	}
	return before == now || before.Session == now.Session && before.Leaving == now.Leaving &&
		before.KeyFingerprint == now.KeyFingerprint && before.Bundle == now.Bundle
}

// loseSight forgets who was seen: blind is not dead.
func (s *sensor) loseSight() {
	s.caughtUp, s.warm = false, false
	clear(s.presence)
	clear(s.veiled)
}

// beginWatch starts the lease that must pass before anyone unseen is lost.
func (s *sensor) beginWatch(st *projection.State, now time.Time) {
	s.caughtUp = true
	s.warm = false
	s.warmAt = now.Add(s.lease)
	s.unseen = make(map[fleet.NodeID]time.Time)
	for _, n := range st.Observed().Nodes {
		if p, seen := s.presence[n.ID]; n.Present && (!seen || p.beat == nil) {
			s.unseen[n.ID] = s.warmAt
		}
	}
}

// listenFor is how long the sensor listens from now on before anybody is lost
// of whom there is no sign; never for less than before. What waits already goes
// on as it is: nobody who was to be heard by then has a longer lease.
func (s *sensor) listenFor(lease time.Duration) { s.lease = max(s.lease, lease) }

// settled says that nobody is believed present on the log's word alone.
func (s *sensor) settled() bool { return s.caughtUp && (s.warm || len(s.unseen) == 0) }

// warmUp marks as dirty whoever has not been seen for the whole first lease.
func (s *sensor) warmUp(now time.Time) {
	if s.warm || !s.caughtUp || now.Before(s.warmAt) {
		return
	}
	s.warm = true
	for _, id := range slices.Sorted(maps.Keys(s.unseen)) {
		s.agenda.add(id)
	}
}

// folded notes that the fold changed what the log says of nodes.
func (s *sensor) folded(st *projection.State, ids []fleet.NodeID, now time.Time) {
	for _, id := range ids {
		s.agenda.add(id)
		n, known := st.Node(id)
		if !known {
			s.sessions.forget(id)
			s.reported.forget(id)
			delete(s.expiring, id)
		}
		if !n.Present {
			delete(s.unseen, id) // should it appear again, it has a lease anew
		}
		if !known {
			continue
		}
		s.await(n, now)
		if c := n.Proved; c != nil && s.expiring[id] != c.Sequence {
			s.expiring[id] = c.Sequence
			heap.Push(&s.alarms, alarm{c.NotAfter.Add(-identity.SkewMargin), id})
		}
	}
}

// nextDeadline is when time itself will be news to the sensor; zero: never.
func (s *sensor) nextDeadline() time.Time {
	var next time.Time
	if len(s.alarms) > 0 {
		next = s.alarms[0].at
	}
	if s.caughtUp && !s.warm && (next.IsZero() || s.warmAt.Before(next)) {
		next = s.warmAt
	}
	return next
}

// maxFacts bounds one append of facts: with those of one more node it has to fit
// into one batch.
const maxFacts = eventlog.MaxBatch - maxFactsOfNode

// maxFactsOfNode is more than facts ever returns for one node.
const maxFactsOfNode = 8

// conclude returns the facts that the log lacks, at most about maxFacts of
// them, in the order in which the news came. What it has looked at is off the
// agenda, unless put back by undo.
func (s *sensor) conclude(st *projection.State, now time.Time) (entries []eventlog.Entry, looked []fleet.NodeID) {
	s.warmUp(now)
	s.ring(now)
	for len(entries) < maxFacts {
		id, ok := s.agenda.take()
		if !ok {
			break
		}
		entries = append(entries, s.facts(st, id, now)...)
		looked = append(looked, id)
	}
	return entries, looked
}

func (s *sensor) undo(ids []fleet.NodeID) {
	for _, id := range ids {
		s.agenda.add(id)
	}
}

// await notes that the log calls a node present that was not seen: another
// sensor has seen it, and its heartbeat may still be on its way to this one.
func (s *sensor) await(n projection.Node, now time.Time) {
	p, seen := s.presence[n.ID]
	if _, waits := s.unseen[n.ID]; waits || !s.caughtUp || !n.Present || seen && p.beat != nil {
		return
	}
	until := now.Add(s.lease)
	s.unseen[n.ID] = until
	heap.Push(&s.alarms, alarm{until, n.ID})
}

// overdue says that a whole lease was watched without a sign of a node that the
// log calls present.
func (s *sensor) overdue(id fleet.NodeID, now time.Time) bool {
	until, waits := s.unseen[id]
	return s.caughtUp && waits && !now.Before(until)
}

// damp says whether a change has to wait that follows on another one within a
// lease, and sets an alarm for it.
func (s *sensor) damp(id fleet.NodeID, last, now time.Time) bool {
	until := last.Add(s.lease)
	if !now.Before(until) {
		return false
	}
	if _, waits := s.damped[id]; !waits {
		s.damped[id] = struct{}{}
		heap.Push(&s.alarms, alarm{until, id})
	}
	return true
}

// ring puts the nodes whose time has come on the agenda.
func (s *sensor) ring(now time.Time) {
	for len(s.alarms) > 0 && !now.Before(s.alarms[0].at) {
		a := heap.Pop(&s.alarms).(alarm)
		delete(s.damped, a.id)
		s.unveil(a.id, now)
		s.agenda.add(a.id)
	}
}
