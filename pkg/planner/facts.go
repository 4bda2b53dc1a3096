package planner

import (
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// facts compares what is seen of one node with what the log says of it. Only
// the first entry is fenced: the others follow it in the same batch.
func (s *sensor) facts(st *projection.State, id fleet.NodeID, now time.Time) []eventlog.Entry {
	f := factMaker{id: id, last: st.LastNode(id), now: now}
	n, known := st.Node(id)
	epoch := st.Ledger().Epoch(id)
	p, seen := s.presence[id]
	switch {
	case seen && p.beat != nil && !p.beat.Leaving:
		s.alive(&f, st, n, known, epoch, p)
	case !known || !n.Present:
		if seen && p.beat == nil {
			delete(s.presence, id) // the log and the lease agree that it is gone
		}
	case seen && p.beat != nil:
		f.add(events.TypeNodeLeft, &events.NodeLeft{Epoch: epoch})
	case seen:
		f.add(events.TypeNodeLost, &events.NodeLost{Epoch: epoch, Reason: LostLeaseExpired})
	case s.overdue(id, now):
		f.add(events.TypeNodeLost, &events.NodeLost{Epoch: epoch, Reason: LostNoLease})
	}
	s.reportBundle(&f, n, known, epoch)
	if proof := s.proofs[id]; proof != nil && len(f.entries) == 0 {
		delete(s.proofs, id)
		if answers(n, proof) {
			f.entries = append(f.entries, eventlog.Entry{Event: proof, Fence: eventlog.LastOnSubject(f.last)})
		}
	}
	if c := n.Proved; c != nil && !now.Before(c.NotAfter.Add(-identity.SkewMargin)) {
		f.add(events.TypeCredentialExpired, &events.CredentialExpired{Epoch: epoch, Serial: c.Serial, NotAfter: c.NotAfter})
	}
	return f.entries
}

// alive adds what a running lease means.
func (s *sensor) alive(f *factMaker, st *projection.State, n projection.Node, known bool, epoch uint64, p presence) {
	// Who came back without the credential it proved cannot sign, however often
	// it came back lately: that is never damped.
	// A renewed one that it holds beside the old one is not lost.
	lost := known && n.Proved != nil && n.Session != p.beat.Session &&
		p.beat.Serial != n.Proved.Serial && p.beat.PendingSerial != n.Proved.Serial
	switch {
	case !known && !p.when().After(st.RemovedAt(f.id)), lost && !p.when().After(n.ProvedAt):
		// The last heartbeat of a life that the log has ended, or an early one of
		// the next; or one of before the proof, which says nothing of what was
		// proved: another one tells.
		p.outlived = true
		s.presence[f.id] = p
		return
	case known && n.Present && n.Session == p.beat.Session:
		p.agreed = true
		s.presence[f.id] = p
		return
	case known && !n.Present && p.agreed:
		// Another sensor has heard that the node is gone, and this one will. If it
		// is not gone, another heartbeat tells.
		p.outlived = true
		s.presence[f.id] = p
		return
	case known && n.Present && !lost && s.damp(f.id, s.sessions.last(f.id), f.now):
		return
	}
	s.sessions.note(f.id, f.now)
	f.add(events.TypeNodeAppeared, &events.NodeAppeared{Epoch: epoch, Session: p.beat.Session, KeyFingerprint: p.beat.KeyFingerprint})
	if lost {
		f.add(events.TypeCredentialRevoked, &events.CredentialRevoked{Epoch: epoch, Serial: n.Proved.Serial, Reason: RevokedCredentialLost})
	}
}

// reportBundle adds which trust bundle a node holds that the log knows to be
// there. Of a node about which there is other news it is said afterwards.
func (s *sensor) reportBundle(f *factMaker, n projection.Node, known bool, epoch uint64) {
	p, seen := s.presence[f.id]
	if !seen || p.beat == nil || p.beat.Leaving || len(f.entries) > 0 || !known || !n.Present {
		return
	}
	if n.Bundle == p.beat.Bundle || p.told {
		// Where the log has said so and says otherwise now, another sensor has
		// heard a newer heartbeat, which this one will. If it has not, the next tells.
		p.told, p.outlived = true, p.outlived || n.Bundle != p.beat.Bundle
		s.presence[f.id] = p
		return
	}
	if s.damp(f.id, s.reported.last(f.id), f.now) {
		return
	}
	s.reported.note(f.id, f.now)
	f.add(events.TypeNodeBundleReported, &events.NodeBundleReported{Epoch: epoch, Digest: p.beat.Bundle})
}

// answers says whether the proof still answers the newest challenge.
func answers(n projection.Node, proof *events.Event) bool {
	d, ok := proof.Data.(*events.CredentialProved)
	if !ok || n.Issued == nil || n.Proved != nil && n.Proved.Serial == d.Serial {
		return false
	}
	return n.Issued.Serial == d.Serial && n.Issued.Nonce == d.Nonce && n.Issued.Epoch == d.Epoch
}

// factMaker collects the facts of one node, each with an id that follows from
// what it was concluded from.
type factMaker struct {
	id      fleet.NodeID
	last    uint64
	now     time.Time
	entries []eventlog.Entry
}

func (f *factMaker) add(t events.Type, data events.Payload) {
	e := &events.Event{
		ID:     events.NewID(string(t), string(f.id), strconv.FormatUint(f.last, 10)),
		Source: events.SourcePlanner, Type: t, Node: f.id, Time: f.now, Data: data,
	}
	entry := eventlog.Entry{Event: e}
	if len(f.entries) == 0 {
		entry.Fence = eventlog.LastOnSubject(f.last)
	}
	f.entries = append(f.entries, entry)
}
