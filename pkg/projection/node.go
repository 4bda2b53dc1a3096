package projection

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// firstEpoch is the epoch of an id's first life.
const firstEpoch = 1

// applyNodeFact handles the facts on a node's subject whose data fit their type;
// it says whether the event is one. A fact of another epoch than the present one
// counts for nothing, and only node.appeared counts for a node that is not observed.
func (s *State) applyNodeFact(seq uint64, at time.Time, e *events.Event) (changed, isFact bool) {
	epoch, isFact := epochOf(e)
	if !isFact {
		return false, false
	}
	n, c := s.open(e.Node)
	c.last = seq
	if c.epoch != epoch {
		return false, true
	}
	before := c.has
	if d, appears := e.Data.(*events.NodeAppeared); appears {
		changed = s.appear(at, c, d)
	} else if c.observed() {
		changed = s.applyToNode(at, c, e)
	}
	s.observed.move(n, before, c)
	return changed, true
}

// epochOf is the epoch that a fact on a node's subject is of.
func epochOf(e *events.Event) (epoch uint64, isFact bool) {
	switch d := e.Data.(type) {
	case *events.NodeAppeared:
		if d != nil {
			return d.Epoch, e.Type == events.TypeNodeAppeared
		}
	case *events.NodeLost:
		if d != nil {
			return d.Epoch, e.Type == events.TypeNodeLost
		}
	case *events.NodeLeft:
		if d != nil {
			return d.Epoch, e.Type == events.TypeNodeLeft
		}
	case *events.NodeRemoved:
		if d != nil {
			return d.Epoch, e.Type == events.TypeNodeRemoved
		}
	case *events.CredentialIssued:
		if d != nil {
			return d.Epoch, e.Type == events.TypeCredentialIssued
		}
	case *events.CredentialProved:
		if d != nil {
			return d.Epoch, e.Type == events.TypeCredentialProved
		}
	case *events.CredentialExpired:
		if d != nil {
			return d.Epoch, e.Type == events.TypeCredentialExpired
		}
	case *events.CredentialRevoked:
		if d != nil {
			return d.Epoch, e.Type == events.TypeCredentialRevoked
		}
	case *events.NodeBundleReported:
		if d != nil {
			return d.Epoch, e.Type == events.TypeNodeBundleReported
		}
	}
	return 0, false
}

// applyToNode applies what was said of a node that is observed, in its epoch.
func (s *State) applyToNode(at time.Time, c *cell, e *events.Event) (changed bool) {
	switch d := e.Data.(type) {
	case *events.CredentialIssued:
		return s.issue(at, c, d)
	case *events.CredentialProved:
		return s.prove(at, c, d)
	case *events.NodeLost:
		return s.lose(at, c)
	case *events.NodeLeft:
		return leave(c)
	case *events.NodeRemoved:
		s.remove(at, c)
		return true
	case *events.CredentialExpired:
		return s.void(c, d.Serial)
	case *events.CredentialRevoked:
		return s.revoke(at, c, d.Serial)
	case *events.NodeBundleReported:
		return s.reportBundle(c, d)
	}
	return false
}

func (s *State) appear(at time.Time, c *cell, d *events.NodeAppeared) bool {
	if c.id == "" {
		return false
	}
	key, session := fingerprintOf(d.KeyFingerprint), sessionOf(d.Session)
	if !c.observed() {
		c.has, c.began = hasNode, s.sequence
	} else {
		sameKey := c.keyIs(&key, d.KeyFingerprint)
		if c.present() && sameKey && c.sessionIs(&session, d.Session) {
			return false
		}
		s.rekey(at, c, d.KeyFingerprint, sameKey)
	}
	c.set(isPresent, true)
	c.set(isLost, false)
	s.ids.name(c, &key, d.KeyFingerprint, &session, d.Session)
	return true
}

// lose makes a node absent that did not say farewell.
func (s *State) lose(at time.Time, c *cell) bool {
	if !leave(c) {
		return false
	}
	c.set(isLost, true)
	s.ids.noteLoss(c, at)
	return true
}

// leave makes a node absent; it keeps its credential.
func leave(c *cell) bool {
	if !c.present() {
		return false
	}
	c.set(isPresent, false)
	return true
}

// remove ends a life: whatever was said in its epoch counts for nothing from
// here on, even if it arrives later.
func (s *State) remove(at time.Time, c *cell) {
	s.revokeAll(at, c, func(*certificate) bool { return true })
	s.ids.end(c)
	s.ids.besides(c).removedAt = at
	s.ledger.forget(s.ids.last)
	c.epoch++
}
