package merkle

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxSize is the largest size of a tree; no log gets there, and the mathematics
// of proofs stays within its numbers.
const MaxSize = 1 << 56

// Frontier is a tree to which leaves are appended, of which it keeps the right
// edge only: the roots of the complete subtrees, the largest first, one for each
// bit that is set in the size. The zero Frontier is the empty tree.
type Frontier struct {
	size uint64
	edge []Hash
}

// NewFrontier goes on from one whose Size and Edge were kept. It refuses an edge
// that cannot be of a tree of that size; whether it is of the right tree is
// known by comparing Root with a root that is believed.
func NewFrontier(size uint64, edge []Hash) (*Frontier, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("take up frontier: size %d is above %d", size, uint64(MaxSize))
	}
	if want := bits.OnesCount64(size); len(edge) != want {
		return nil, fmt.Errorf("take up frontier: it has %d hashes, a tree of size %d has %d", len(edge), size, want)
	}
	return &Frontier{size: size, edge: slices.Clone(edge)}, nil
}

// Append adds the next leaf.
func (f *Frontier) Append(leaf Hash) { f.grow(leaf, func(int, uint64, Hash) {}) }

// grow calls made for each node that the leaf completes, the leaf first, with
// its level above the leaves and its number on that level.
func (f *Frontier) grow(leaf Hash, made func(level int, n uint64, h Hash)) {
	h := leaf
	made(0, f.size, h)
	for level := 0; f.size>>level&1 == 1; level++ {
		last := len(f.edge) - 1
		h = tlog.NodeHash(f.edge[last], h)
		f.edge = f.edge[:last]
		made(level+1, f.size>>(level+1), h)
	}
	f.edge = append(f.edge, h)
	f.size++
}

// Size is the number of leaves.
func (f *Frontier) Size() uint64 { return f.size }

// Edge is what NewFrontier needs besides the size.
func (f *Frontier) Edge() []Hash { return slices.Clone(f.edge) }

// Root is the hash of the whole tree; of the empty one the hash of no bytes.
func (f *Frontier) Root() Hash {
	if len(f.edge) == 0 {
		return sha256.Sum256(nil)
	}
	h := f.edge[len(f.edge)-1]
	for _, left := range slices.Backward(f.edge[:len(f.edge)-1]) {
		h = tlog.NodeHash(left, h)
	}
	return h
}

// Clone is a frontier that grows by itself.
func (f *Frontier) Clone() *Frontier { return &Frontier{size: f.size, edge: slices.Clone(f.edge)} }
