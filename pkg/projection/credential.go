package projection

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// ofKey is the credential if it is for that key, else nil.
func (c *credential) ofKey(fingerprint string) *credential {
	if c == nil || c.KeyFingerprint != fingerprint {
		return nil
	}
	return c
}

// ended is the credential, or nil if it is the one with that serial.
func (c *credential) ended(serial string) *credential {
	if c == nil || c.Serial == serial {
		return nil
	}
	return c
}

// same says that both are one certificate with one challenge, wherever on the
// log they stand.
func (c *credential) same(other *credential) bool {
	return c.sameButText(other) && c.text.same(other.text)
}

func (c *credential) sameButText(other *credential) bool {
	if c == nil || other == nil {
		return false
	}
	moved := other.Credential
	moved.Sequence, moved.IssuedAt = c.Sequence, c.IssuedAt
	return c.Credential == moved
}

// issue sets a new challenge. What was proved before goes on counting, so that
// a renewal never leaves a moment in which the node cannot sign.
func (s *State) issue(at time.Time, r *record, d *events.CredentialIssued) bool {
	if r == nil {
		return false
	}
	c := credential{Credential: Credential{
		Serial: d.Serial, Nonce: d.Nonce, KeyFingerprint: d.KeyFingerprint, Epoch: d.Epoch,
		NotBefore: plainTime(d.NotBefore), NotAfter: plainTime(d.NotAfter),
		Sequence: s.sequence, IssuedAt: at, Issuer: s.trust.intern(d.Issuer),
	}}
	if n := r.node; n.issued.sameButText(&c) && n.issued.text.is(d.CertificatePEM) {
		return false
	}
	c.text = s.ids.textOf(d.CertificatePEM)
	r.keepEarlier(at, r.node.issued, r.node.proved)
	if r.node.proved == r.node.issued && r.node.proved != nil {
		r.second = *r.node.proved // makes room for the next
		r.node.proved = &r.second
	}
	r.first = c
	r.node.issued = &r.first
	return true
}

// prove accepts the answer to the newest challenge only.
func (s *State) prove(at time.Time, r *record, d *events.CredentialProved) bool {
	if r == nil {
		return false
	}
	n := r.node
	if n.issued == nil || n.issued.same(n.proved) || n.issued.Serial != d.Serial || n.issued.Nonce != d.Nonce {
		return false
	}
	r.keepEarlier(at, n.proved, nil)
	n.proved, n.ProvedAt = n.issued, at
	s.observed.update(r)
	return true
}

// keep leaves the node with what still counts of its credentials.
func (n *life) keep(issued, proved *credential) {
	n.issued, n.proved = issued, proved
	if proved == nil {
		n.ProvedAt = time.Time{}
	}
}

// void ends the credential with that serial, proved or not.
func (s *State) void(r *record, serial string) bool {
	if r == nil {
		return false
	}
	n := r.node
	issued, proved := n.issued.ended(serial), n.proved.ended(serial)
	if issued == n.issued && proved == n.proved {
		return false
	}
	n.keep(issued, proved)
	s.observed.update(r)
	return true
}
