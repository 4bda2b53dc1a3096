package projection

import (
	"iter"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Superseded lists the certificates of the nodes' present lives that another
// proved one took the place of, at the time before or then, and that have not
// ended by the time of the newest message of the log, in no order. At is when the
// newest credential of the node was proved.
func (s *State) Superseded(before time.Time) []Revoked {
	var all []Revoked
	for n := range s.ids.len {
		all = s.ids.superseded(all, s.ids.at(n), before, s.at)
	}
	return all
}

// IsSuperseded says whether Superseded lists the node's certificate with that serial.
func (s *State) IsSuperseded(id fleet.NodeID, serial string, before time.Time) (is bool) {
	all := s.ids.superseded(nil, s.ids.get(id), before, s.at)
	return slices.ContainsFunc(all, func(c Revoked) bool { return c.Serial == serial })
}

func (c *cells) superseded(to []Revoked, of *cell, before, now time.Time) []Revoked {
	if len(of.more().earlier) == 0 || !of.signs() || of.provedAtTime().After(before) {
		return to
	}
	proved := c.proved(of).serialText()
	for i := range of.beside.earlier {
		have := c.revoked(&of.beside.earlier[i], of.provedAtTime())
		if have.Serial != proved && !have.NotAfter.Before(now) {
			to = append(to, have)
		}
	}
	return to
}

// Signers lists by whom observed nodes were given what they may sign with: the
// issuer of the proved credential, and those of certificates that it took the place
// of after the time, which the node may not have put away yet. A node may stand
// more than once; there is no order.
func (s *State) Signers(after time.Time) iter.Seq2[fleet.NodeID, string] {
	return func(yield func(fleet.NodeID, string) bool) {
		for n := range s.ids.len {
			of := s.ids.at(n)
			for _, issuer := range s.ids.signers(of, after) {
				if !yield(of.id, issuer) {
					return
				}
			}
		}
	}
}

// SignersOf lists those of one node.
func (s *State) SignersOf(id fleet.NodeID, after time.Time) (issuers []string) {
	return s.ids.signers(s.ids.get(id), after)
}

func (c *cells) signers(of *cell, after time.Time) (issuers []string) {
	if !of.signs() {
		return nil
	}
	issuers = append(issuers, c.issuerOf(c.proved(of)))
	if !of.provedAtTime().After(after) {
		return issuers
	}
	for i := range of.more().earlier {
		k := of.beside.earlier[i].credential()
		if issuer := c.issuerOf(&k); !slices.Contains(issuers, issuer) {
			issuers = append(issuers, issuer)
		}
	}
	return issuers
}
