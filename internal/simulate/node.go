package simulate

import (
	"container/heap"
	"math"
	"time"
)

// node is what has to be remembered of each. There may be millions: keys, ids and
// sessions are made when they are needed.
type node struct {
	// due is when it acts next, and dies when this life ends, in Unix nanoseconds.
	due, dies int64
	// until is when the lease of the newest acknowledged heartbeat ends at the earliest.
	// since is from when on leases of it have followed each other without a gap.
	until, since int64
	// life counts its starts and said the events of this one.
	life, said  uint32
	down, gone  bool // dead for now; decommissioned
	hasKey      bool
	fingerprint [32]byte
	credential  *credential // nil while it has none
}

// never is later than any schedule.
const never = math.MaxInt64

// schedule is a heap of the nodes that have something to do, the earliest first.
type schedule struct {
	nodes []node
	order []int32
}

func (s *schedule) Len() int           { return len(s.order) }
func (s *schedule) Less(i, j int) bool { return s.nodes[s.order[i]].due < s.nodes[s.order[j]].due }
func (s *schedule) Swap(i, j int)      { s.order[i], s.order[j] = s.order[j], s.order[i] }
func (s *schedule) Push(x any)         { s.order = append(s.order, x.(int32)) }
func (s *schedule) Pop() any {
	last := s.order[len(s.order)-1]
	s.order = s.order[:len(s.order)-1]
	return last
}

// next is when the first is due; never for none.
func (s *schedule) next() int64 {
	if len(s.order) == 0 {
		return never
	}
	return s.nodes[s.order[0]].due
}

// settle puts the first where it belongs after its due has changed, or out of the
// schedule for good.
func (s *schedule) settle(stays bool) {
	if stays {
		heap.Fix(s, 0)
		return
	}
	heap.Pop(s)
}

// What is drawn of the seed.
const (
	drawBirth = iota + 1
	drawLife
	drawAway
	drawJitter
	drawRenewal
)

// draw is a number in [0, 1) that follows from the seed, the node and what for.
func (s *Simulation) draw(what, i int, n uint32) float64 {
	x := mix(s.Seed ^ mix(uint64(what)<<56|uint64(i)<<32|uint64(n)))
	return float64(x>>11) / (1 << 53)
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// exponential is a time with that mean.
func exponential(mean time.Duration, u float64) int64 {
	return int64(-math.Log1p(-u) * float64(mean))
}

// begin starts a life of node i at a time.
func (s *Simulation) begin(i int, at int64) {
	n := &s.nodes[i]
	n.life, n.said, n.down, n.dies = n.life+1, 0, false, never
	if s.Churn > 0 {
		mean := time.Duration(float64(time.Minute) / s.Churn)
		n.dies = at + exponential(mean, s.draw(drawLife, i, n.life))
	}
}
