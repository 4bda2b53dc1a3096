package projection

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// ofKey is the credential if it is for that key, else nil.
func (c *Credential) ofKey(fingerprint string) *Credential {
	if c == nil || c.KeyFingerprint != fingerprint {
		return nil
	}
	return c
}

// ended is the credential, or nil if it is the one with that serial.
func (c *Credential) ended(serial string) *Credential {
	if c == nil || c.Serial == serial {
		return nil
	}
	return c
}

// same says that both are one certificate with one challenge, wherever on the
// log they stand.
func (c *Credential) same(other *Credential) bool {
	if c == nil || other == nil {
		return false
	}
	moved := *other
	moved.Sequence, moved.IssuedAt = c.Sequence, c.IssuedAt
	return *c == moved
}

// issue sets a new challenge. What was proved before goes on counting, so that
// a renewal never leaves a moment in which the node cannot sign.
func (s *State) issue(at time.Time, r *record, d *events.CredentialIssued) bool {
	if r == nil {
		return false
	}
	c := Credential{
		Serial: d.Serial, Nonce: d.Nonce, KeyFingerprint: d.KeyFingerprint, Epoch: d.Epoch,
		NotBefore: plainTime(d.NotBefore), NotAfter: plainTime(d.NotAfter), CertificatePEM: d.CertificatePEM,
		Sequence: s.sequence, IssuedAt: at,
	}
	if r.node.Issued.same(&c) {
		return false
	}
	r.node.Issued = &c
	return true
}

// prove accepts the answer to the newest challenge only.
func (s *State) prove(at time.Time, r *record, d *events.CredentialProved) bool {
	if r == nil {
		return false
	}
	n := r.node
	if n.Issued == nil || n.Issued.same(n.Proved) || n.Issued.Serial != d.Serial || n.Issued.Nonce != d.Nonce {
		return false
	}
	n.Proved, n.ProvedAt = n.Issued, at
	s.observed.update(r)
	return true
}

// keep leaves the node with what still counts of its credentials.
func (n *Node) keep(issued, proved *Credential) {
	n.Issued, n.Proved = issued, proved
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
	issued, proved := n.Issued.ended(serial), n.Proved.ended(serial)
	if issued == n.Issued && proved == n.Proved {
		return false
	}
	n.keep(issued, proved)
	s.observed.update(r)
	return true
}
