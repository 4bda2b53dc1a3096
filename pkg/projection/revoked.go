package projection

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const (
	// maxEarlier bounds what is kept of one node's superseded certificates: those
	// that end last.
	maxEarlier = 64
	// MaxRevoked bounds Revoked, so that a revocation list fits into one message:
	// those that end last are kept.
	MaxRevoked = 20000
)

// Revoked is a certificate that must not be believed although it has not expired.
type Revoked struct {
	// Serial in lower-case hex; Issuer is the fingerprint of the key that signed
	// it, empty where the log does not say.
	Serial, Issuer string
	// At is when the log took the revocation, NotAfter when the certificate ends.
	At, NotAfter time.Time
}

// Revoked is what was revoked and has not expired by the time of the newest
// message of the log, in the order of revocation.
func (s *State) Revoked() []Revoked {
	var all []Revoked
	for _, r := range s.revoked.byEnd {
		if !r.NotAfter.Before(s.at) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Revoked) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Serial, b.Serial))
	})
	return all
}

// LastRevoked is the sequence at which Revoked grew last; 0: never. That entries
// expire does not count.
func (s *State) LastRevoked() uint64 { return s.revoked.last }

// RevokedDropped counts the entries that MaxRevoked had no room for.
func (s *State) RevokedDropped() int { return s.revoked.dropped }

type revocations struct {
	byEnd   endFirst
	last    uint64
	dropped int
}

// add keeps the entry unless it has ended. The same certificate stands once.
func (v *revocations) add(seq uint64, r Revoked) {
	for len(v.byEnd) > 0 && v.byEnd[0].NotAfter.Before(r.At) {
		heap.Pop(&v.byEnd)
	}
	if r.NotAfter.Before(r.At) {
		return
	}
	heap.Push(&v.byEnd, r)
	v.last = seq
	if len(v.byEnd) > MaxRevoked {
		heap.Pop(&v.byEnd)
		v.dropped++
	}
}

// endFirst is a heap.
type endFirst []Revoked

func (h endFirst) Len() int { return len(h) }
func (h endFirst) Less(i, j int) bool {
	return cmp.Or(h[i].NotAfter.Compare(h[j].NotAfter), cmp.Compare(h[i].Serial, h[j].Serial)) < 0
}
func (h endFirst) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *endFirst) Push(r any)   { *h = append(*h, r.(Revoked)) }
func (h *endFirst) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = Revoked{}
	*h = (*h)[:last]
	return r
}

// certificate is what revoking needs to know of a credential.
type certificate struct {
	serial, issuer, key string
	notAfter            time.Time
}

func (c *credential) certificate() certificate {
	return certificate{serial: c.Serial, issuer: c.Issuer, key: c.KeyFingerprint, notAfter: c.NotAfter}
}

// keepEarlier notes a credential that another one takes the place of: it can
// still be used until it ends, so it can still be revoked. still is one that goes
// on counting.
func (r *record) keepEarlier(at time.Time, c, still *credential) {
	r.earlier = without(r.earlier, func(e certificate) bool { return e.notAfter.Before(at) })
	if c == nil || c.same(still) || c.NotAfter.Before(at) {
		return
	}
	if slices.ContainsFunc(r.earlier, func(e certificate) bool { return e.serial == c.Serial }) {
		return
	}
	r.earlier = append(r.earlier, c.certificate())
	if len(r.earlier) > maxEarlier {
		first := slices.MinFunc(r.earlier, func(a, b certificate) int { return a.notAfter.Compare(b.notAfter) })
		r.earlier = without(r.earlier, func(e certificate) bool { return e == first })
	}
}

// certificates are all that the present life was given and that may not have
// ended yet, each once.
func (r *record) certificates() []certificate {
	all := slices.Clone(r.earlier)
	for _, c := range []*credential{r.node.proved, r.node.issued} {
		if c != nil && !slices.ContainsFunc(all, func(have certificate) bool { return have.serial == c.Serial }) {
			all = append(all, c.certificate())
		}
	}
	return all
}

// revoke ends the credential with that serial, whatever it is to the node.
func (s *State) revoke(at time.Time, r *record, serial string) bool {
	if r == nil {
		return false
	}
	found := s.revokeAll(at, r, func(c certificate) bool { return c.serial == serial })
	return s.void(r, serial) || found
}

// revokeAll lists what the condition holds for; what still counts is not ended
// by it. It says whether there was anything.
func (s *State) revokeAll(at time.Time, r *record, condition func(certificate) bool) (found bool) {
	for _, c := range r.certificates() {
		if condition(c) {
			found = found || !c.notAfter.Before(at)
			s.revoked.add(s.sequence, Revoked{Serial: c.serial, Issuer: c.issuer, At: at, NotAfter: c.notAfter})
		}
	}
	r.earlier = without(r.earlier, condition)
	if len(r.earlier) == 0 {
		r.earlier = nil
	}
	return found
}

func (s *State) reportBundle(r *record, d *events.NodeBundleReported) bool {
	if r == nil || r.node.Bundle == d.Digest {
		return false
	}
	r.node.Bundle = d.Digest
	return true
}

// Superseded lists the certificates of the nodes' present lives that another
// proved one took the place of, at the time before or then, and that have not
// ended by the time of the newest message of the log, in no order. At is when the
// newest credential of the node was proved.
func (s *State) Superseded(before time.Time) []Revoked {
	var all []Revoked
	for r := range s.records(hasPast) {
		all = r.superseded(all, before, s.at)
	}
	return all
}

// IsSuperseded says whether Superseded lists the node's certificate with that serial.
func (s *State) IsSuperseded(id fleet.NodeID, serial string, before time.Time) (is bool) {
	s.read(id, func(r *record) {
		is = slices.ContainsFunc(r.superseded(nil, before, s.at), func(c Revoked) bool { return c.Serial == serial })
	})
	return is
}

func (r *record) superseded(to []Revoked, before, now time.Time) []Revoked {
	if len(r.earlier) == 0 || r.node == nil || r.node.proved == nil || r.node.ProvedAt.After(before) {
		return to
	}
	for _, c := range r.earlier {
		if c.serial != r.node.proved.Serial && !c.notAfter.Before(now) {
			to = append(to, Revoked{Serial: c.serial, Issuer: c.issuer, At: r.node.ProvedAt, NotAfter: c.notAfter})
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
		for r := range s.records(hasProved) {
			for _, issuer := range r.signers(after) {
				if !yield(r.id, issuer) {
					return
				}
			}
		}
	}
}

// SignersOf lists those of one node.
func (s *State) SignersOf(id fleet.NodeID, after time.Time) (issuers []string) {
	s.read(id, func(r *record) { issuers = r.signers(after) })
	return issuers
}

func (r *record) signers(after time.Time) (issuers []string) {
	if r.node == nil || r.node.proved == nil {
		return nil
	}
	issuers = append(issuers, r.node.proved.Issuer)
	if !r.node.ProvedAt.After(after) {
		return issuers
	}
	for _, c := range r.earlier {
		if !slices.Contains(issuers, c.issuer) {
			issuers = append(issuers, c.issuer)
		}
	}
	return issuers
}
