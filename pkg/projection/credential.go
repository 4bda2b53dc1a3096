package projection

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// issue sets a new challenge. What was proved before goes on counting, so that
// a renewal never leaves a moment in which the node cannot sign.
func (s *State) issue(at time.Time, c *cell, d *events.CredentialIssued) bool {
	next := s.ids.shorten(c, &Credential{
		Serial: d.Serial, Nonce: d.Nonce, KeyFingerprint: d.KeyFingerprint,
		NotBefore: d.NotBefore, NotAfter: d.NotAfter, Issuer: d.Issuer, Sequence: s.sequence, IssuedAt: at,
	})
	before := c.issued()
	if before != nil && before.is(&next) {
		return false
	}
	s.ids.keepEarlier(at, c, before, s.ids.proved(c))
	s.ids.give(c, next)
	return true
}

// prove accepts the answer to the newest challenge only.
func (s *State) prove(at time.Time, c *cell, d *events.CredentialProved) bool {
	serial, nonce := wordOf(d.Serial), wordOf(d.Nonce)
	issued, proved := c.issued(), s.ids.proved(c)
	if issued == nil || s.ids.same(issued, proved) || !issued.serialIs(&serial, d.Serial) || !issued.nonceIs(&nonce, d.Nonce) {
		return false
	}
	s.ids.keepEarlier(at, c, proved, nil)
	s.ids.prove(c, at)
	return true
}

// void ends the credential with that serial, proved or not.
func (s *State) void(c *cell, serial string) bool {
	w := wordOf(serial)
	issued, proved := c.issued(), s.ids.proved(c)
	keepIssued := issued != nil && !issued.serialIs(&w, serial)
	keepProved := proved != nil && !proved.serialIs(&w, serial)
	if keepIssued == (issued != nil) && keepProved == (proved != nil) {
		return false
	}
	s.ids.settle(c, keepIssued, keepProved)
	return true
}
