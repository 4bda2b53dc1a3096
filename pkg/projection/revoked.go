package projection

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
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
