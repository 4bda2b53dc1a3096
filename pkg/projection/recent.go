package projection

import (
	"cmp"
	"iter"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// maxRecent is how many changes of nodes are remembered, at least. Whoever is
// further behind looks at the whole fleet, which then costs no more.
const maxRecent = 16384

// recent are the newest changes of nodes, so that whoever keeps something about
// all of them need not look at all of them again. It is a convenience of this
// State and no part of what the log tells: an Image does not have it.
type recent struct {
	// from is the sequence behind which all changes are remembered.
	from  uint64
	seqs  []uint64
	nodes []fleet.NodeID
}

// add remembers a change, and returns it as a list of one.
func (r *recent) add(seq uint64, id fleet.NodeID) []fleet.NodeID {
	if len(r.seqs) == 2*maxRecent {
		r.from = r.seqs[maxRecent-1]
		r.seqs = append(r.seqs[:0], r.seqs[maxRecent:]...)
		// What Change handed out is never overwritten.
		r.nodes = append(make([]fleet.NodeID, 0, 2*maxRecent), r.nodes[maxRecent:]...)
	}
	r.seqs, r.nodes = append(r.seqs, seq), append(r.nodes, id)
	end := len(r.nodes)
	return r.nodes[end-1 : end : end]
}

// ChangedSince yields the nodes whose facts changed after a sequence, in the
// order in which they did; one that changed twice is named twice. It is false
// when that is too long ago to be known.
func (s *State) ChangedSince(seq uint64) (iter.Seq[fleet.NodeID], bool) {
	r := &s.recent
	if seq < r.from || seq > s.sequence {
		return nil, false
	}
	at, _ := slices.BinarySearchFunc(r.seqs, seq+1, cmp.Compare[uint64])
	return slices.Values(r.nodes[at:]), true
}
