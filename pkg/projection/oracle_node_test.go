package projection_test

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

var nodeFacts = []events.Type{
	events.TypeNodeAppeared, events.TypeNodeLost, events.TypeNodeLeft, events.TypeNodeRemoved,
	events.TypeCredentialIssued, events.TypeCredentialProved, events.TypeCredentialExpired, events.TypeCredentialRevoked,
	events.TypeNodeBundleReported,
}

// lifetime is what was said of an id in its present life, from the appearance that
// began it; empty if the node is not observed.
type lifetime []message

// lives gives the removals that ended the former lives of an id, and the
// present one. What is said in another epoch, or of nobody, is passed over.
func (c chronicle) lives(id fleet.NodeID) (ends []message, now lifetime) {
	for _, m := range c {
		switch {
		case id == "" || !m.fits || m.event.Node != id || !m.is(nodeFacts...) || epochOf(m.event) != uint64(1+len(ends)):
		case len(now) == 0 && !m.is(events.TypeNodeAppeared):
		case m.is(events.TypeNodeRemoved):
			ends, now = append(ends, m), nil
		default:
			now = append(now, m)
		}
	}
	return ends, now
}

func (c chronicle) epoch(id fleet.NodeID) uint64 {
	ends, _ := c.lives(id)
	return uint64(1 + len(ends))
}

// moves are the messages that say whether the node is there.
func (l lifetime) moves() lifetime {
	return lifetime(chronicle(l).of(events.TypeNodeAppeared, events.TypeNodeLost, events.TypeNodeLeft))
}

func (l lifetime) present() bool {
	moves := l.moves()
	return len(moves) > 0 && moves[len(moves)-1].is(events.TypeNodeAppeared)
}

// absence is what the node's absence began with; false if it is not absent.
func (l lifetime) absence() (began message, absent bool) {
	for _, m := range slices.Backward(l.moves()) {
		if m.is(events.TypeNodeAppeared) {
			break
		}
		began, absent = m, true
	}
	return began, absent
}

func (l lifetime) lost() (since time.Time, lost bool) {
	if began, absent := l.absence(); absent && began.is(events.TypeNodeLost) {
		return began.at, true
	}
	return time.Time{}, false
}

// penalty adds up the sixteen newest losses of a node that was present.
func (l lifetime) penalty(now time.Time, halfLife time.Duration) float64 {
	var halves []float64
	for i, m := range l {
		if m.is(events.TypeNodeLost) && l[:i].present() {
			halves = append(halves, math.Pow(0.5, max(0, now.Sub(m.at).Seconds()/halfLife.Seconds())))
		}
	}
	sum := 0.0
	for _, half := range halves[max(0, len(halves)-16):] {
		sum += half
	}
	return sum
}

// appearance is the newest one.
func (l lifetime) appearance() *events.NodeAppeared {
	all := chronicle(l).of(events.TypeNodeAppeared)
	return all[len(all)-1].event.Data.(*events.NodeAppeared)
}

// endedBy says whether message i ends a credential: its serial is named, or the
// node appears with another key, which a repetition of what is known does not.
func (l lifetime) endedBy(i int, c *projection.Credential) bool {
	switch d := l[i].event.Data.(type) {
	case *events.CredentialExpired:
		return d.Serial == c.Serial
	case *events.CredentialRevoked:
		return d.Serial == c.Serial
	case *events.NodeAppeared:
		repeated := l[:i].present() && *l[:i].appearance() == *d
		return d.KeyFingerprint != c.KeyFingerprint && !repeated
	}
	return false
}

// endsAfter says whether anything behind message i ends a credential.
func (l lifetime) endsAfter(i int, c *projection.Credential) bool {
	for later := i + 1; later < len(l); later++ {
		if l.endedBy(later, c) {
			return true
		}
	}
	return false
}

// issued is the newest certificate, unless something has ended it since.
func (l lifetime) issued() *projection.Credential {
	for i, m := range slices.Backward(l) {
		d, ok := m.event.Data.(*events.CredentialIssued)
		if !ok {
			continue
		}
		c := &projection.Credential{
			Serial: d.Serial, Nonce: d.Nonce, KeyFingerprint: d.KeyFingerprint, Epoch: d.Epoch,
			NotBefore: d.NotBefore, NotAfter: d.NotAfter,
			Sequence: m.seq, IssuedAt: m.at, Issuer: d.Issuer,
		}
		if before := l[:i].issued(); sameCertificate(before, c) {
			c = before // a repetition
		}
		if l.endsAfter(i, c) {
			return nil
		}
		return c
	}
	return nil
}

// proved is what the newest right answer was given for, and when, unless
// something has ended it since.
func (l lifetime) proved() (c *projection.Credential, at time.Time) {
	for i, m := range slices.Backward(l) {
		d, ok := m.event.Data.(*events.CredentialProved)
		if !ok {
			continue
		}
		c := l[:i].issued()
		if c == nil || c.Serial != d.Serial || c.Nonce != d.Nonce {
			continue
		}
		if l.endsAfter(i, c) {
			return nil, at
		}
		if before, at := l[:i].proved(); sameCertificate(before, c) {
			return before, at // a repetition
		}
		return c, m.at
	}
	return nil, at
}

// sameCertificate: with the same challenge, wherever on the log.
func sameCertificate(a, b *projection.Credential) bool {
	if a == nil || b == nil {
		return false
	}
	at := *b
	at.Sequence, at.IssuedAt = a.Sequence, a.IssuedAt
	return *a == at
}

// node is what the log says of a node; false if it is not observed.
func (c chronicle) node(id fleet.NodeID) (n projection.Node, observed bool) {
	ends, l := c.lives(id)
	if len(l) == 0 {
		return n, false
	}
	_, lost := l.lost()
	seen := l.appearance()
	proved, provedAt := l.proved()
	return projection.Node{
		ID: id, Present: l.present(), Lost: lost, Began: l[0].seq, Epoch: uint64(1 + len(ends)),
		Session: seen.Session, KeyFingerprint: seen.KeyFingerprint,
		Last: c.lastOn(subjects.Node(id)), Issued: l.issued(), Proved: proved, ProvedAt: provedAt,
		Bundle: l.bundle(),
	}, true
}

// observed lists who is observed, by when the present life began.
func (c chronicle) observed(ids []fleet.NodeID) []fleet.ObservedNode {
	list := []fleet.ObservedNode{}
	var nodes []projection.Node
	for _, id := range ids {
		if n, ok := c.node(id); ok {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b projection.Node) int { return cmp.Compare(a.Began, b.Began) })
	for _, n := range nodes {
		list = append(list, fleet.ObservedNode{ID: n.ID, Present: n.Present, CanSign: n.Proved != nil})
	}
	return list
}

// mayBeRemoved: the present life had begun when something was approved.
func (c chronicle) mayBeRemoved(id fleet.NodeID) bool {
	n, observed := c.node(id)
	return observed && slices.ContainsFunc(c.approvals(), func(a projection.Approval) bool { return n.Began <= a.Basis })
}

func (c chronicle) removedAt(id fleet.NodeID) (at time.Time) {
	ends, _ := c.lives(id)
	for _, end := range ends {
		at = end.at
	}
	return at
}

// bundle is what the node reported last in its present life.
func (l lifetime) bundle() (digest string) {
	for _, m := range chronicle(l).of(events.TypeNodeBundleReported) {
		digest = m.event.Data.(*events.NodeBundleReported).Digest
	}
	return digest
}

// allLives are what was said in each life of an id, the removal that ended it last.
func (c chronicle) allLives(id fleet.NodeID) (all []lifetime) {
	ends, now := c.lives(id)
	for _, end := range ends {
		_, before := c[:end.seq-1].lives(id)
		all = append(all, append(before, end))
	}
	return append(all, now)
}

// revoked are the certificates of which the first thing that ended them was no
// expiry, and which have not expired by themselves, by when the log took it.
func (c chronicle) revoked() (all []projection.Revoked) {
	now := c.newest()
	for _, id := range lawIDs {
		for _, l := range c.allLives(id) {
			for i, m := range l {
				if d, ok := m.event.Data.(*events.CredentialIssued); ok && l.gives(i) {
					if at, ended := l.revokedAt(i, d); ended && !d.NotAfter.Before(at) && !d.NotAfter.Before(now) {
						all = append(all, projection.Revoked{Serial: d.Serial, Issuer: d.Issuer, At: at, NotAfter: d.NotAfter})
					}
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b projection.Revoked) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Serial, b.Serial))
	})
	return all
}

// newest is the time of the newest event; what does not fit says no time.
func (c chronicle) newest() (at time.Time) {
	for _, m := range c {
		if m.event != nil && m.at.After(at) {
			at = m.at
		}
	}
	return at
}

// gives says that message i gives a certificate, and does not only repeat it.
func (l lifetime) gives(i int) bool {
	before := l[:i].issued()
	return before == nil || before.Serial != l[i].event.Data.(*events.CredentialIssued).Serial
}

func (l lifetime) revokedAt(i int, given *events.CredentialIssued) (at time.Time, revoked bool) {
	c := &projection.Credential{Serial: given.Serial, KeyFingerprint: given.KeyFingerprint}
	for later := i + 1; later < len(l); later++ {
		switch d := l[later].event.Data.(type) {
		case *events.CredentialExpired: // of one that nobody asks for any more it says nothing
			issued := l[:later].issued()
			proved, _ := l[:later].proved()
			if d.Serial == c.Serial && (issued != nil && issued.Serial == c.Serial || proved != nil && proved.Serial == c.Serial) {
				return at, false
			}
		case *events.NodeRemoved:
			return l[later].at, true
		default:
			if l.endedBy(later, c) {
				return l[later].at, true
			}
		}
	}
	return at, false
}
