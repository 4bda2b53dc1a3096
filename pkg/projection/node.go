package projection

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// firstEpoch is the epoch of an id's first life.
const firstEpoch = 1

// applyNodeFact handles the facts on a node's subject. A fact of another epoch
// than the present one counts for nothing, and only node.appeared counts for a
// node that is not observed.
func (s *State) applyNodeFact(at time.Time, e *events.Event) (changed, fits bool) {
	switch e.Type {
	case events.TypeNodeAppeared:
		d, ok := data[events.NodeAppeared](e)
		return ok && s.appear(at, e, d), ok
	case events.TypeNodeLost:
		d, ok := data[events.NodeLost](e)
		return ok && s.lose(at, s.living(d.Epoch)), ok
	case events.TypeNodeLeft:
		d, ok := data[events.NodeLeft](e)
		return ok && s.leave(s.living(d.Epoch)), ok
	case events.TypeNodeRemoved:
		d, ok := data[events.NodeRemoved](e)
		return ok && s.remove(at, s.living(d.Epoch)), ok
	case events.TypeCredentialIssued:
		d, ok := data[events.CredentialIssued](e)
		return ok && s.issue(at, s.living(d.Epoch), d), ok
	case events.TypeCredentialProved:
		d, ok := data[events.CredentialProved](e)
		return ok && s.prove(at, s.living(d.Epoch), d), ok
	case events.TypeCredentialExpired:
		d, ok := data[events.CredentialExpired](e)
		return ok && s.void(s.living(d.Epoch), d.Serial), ok
	case events.TypeCredentialRevoked:
		d, ok := data[events.CredentialRevoked](e)
		return ok && s.revoke(at, s.living(d.Epoch), d.Serial), ok
	case events.TypeNodeBundleReported:
		d, ok := data[events.NodeBundleReported](e)
		return ok && s.reportBundle(s.living(d.Epoch), d), ok
	}
	// Registered, but not a type of the log.
	_, known := events.Describe(e.Type)
	return false, known
}

// living is the record of the event's node, which is on the desk, nil unless it
// is observed and in that epoch.
func (s *State) living(epoch uint64) *record {
	if r := &s.desk.record; r.node != nil && r.epoch == epoch {
		return r
	}
	return nil
}

func (s *State) appear(at time.Time, e *events.Event, d *events.NodeAppeared) bool {
	r := &s.desk.record
	if r.epoch != d.Epoch || e.Node == "" {
		return false
	}
	if r.node == nil {
		r.body = life{Node: Node{ID: r.id, Present: true, Began: s.sequence, Epoch: d.Epoch, Session: d.Session, KeyFingerprint: d.KeyFingerprint}}
		r.node = &r.body
		s.observed.add(r)
		return true
	}
	n := r.node
	if n.Present && n.Session == d.Session && n.KeyFingerprint == d.KeyFingerprint {
		return false
	}
	n.Present, n.Lost, n.Session, n.KeyFingerprint = true, false, d.Session, d.KeyFingerprint
	// A node with another key cannot sign with what the old key was given.
	s.revokeAll(at, r, func(c certificate) bool { return c.key != d.KeyFingerprint })
	n.keep(n.issued.ofKey(d.KeyFingerprint), n.proved.ofKey(d.KeyFingerprint))
	s.observed.update(r)
	return true
}

// lose makes a node absent that did not say farewell.
func (s *State) lose(at time.Time, r *record) bool {
	if !s.leave(r) {
		return false
	}
	r.node.Lost = true
	r.noteLoss(at)
	return true
}

// leave makes a node absent; it keeps its credential.
func (s *State) leave(r *record) bool {
	if r == nil || !r.node.Present {
		return false
	}
	r.node.Present = false
	s.observed.update(r)
	return true
}

// remove ends a life: whatever was said in its epoch counts for nothing from
// here on, even if it arrives later.
func (s *State) remove(at time.Time, r *record) bool {
	if r == nil {
		return false
	}
	s.revokeAll(at, r, func(certificate) bool { return true })
	s.observed.remove(r)
	s.ledger.forget(r.id)
	r.node, r.removedAt, r.losses = nil, at, nil
	r.epoch++
	return true
}
