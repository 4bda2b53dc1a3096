package merkle

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Prover makes proofs from a log that goes by once. What is to be proved has to
// be wanted before the first Append, and can be had once the tree has the size
// that was named. The zero Prover is ready for use.
type Prover struct {
	tree Frontier
	kept map[int64]*Hash // by tlog's index of a node; nil until it is complete
}

// WantInclusion announces a proof that the record with this sequence is in the
// tree of this size.
func (p *Prover) WantInclusion(seq, size uint64) error {
	if err := checkInclusion(seq, size); err != nil {
		return err
	}
	_, err := tlog.ProveRecord(int64(size), int64(seq-1), p.note())
	return err
}

// WantConsistency announces a proof that the tree of size old is the beginning
// of that of size now.
func (p *Prover) WantConsistency(old, now uint64) error {
	if err := checkConsistency(old, now); err != nil || old == 0 {
		return err
	}
	_, err := tlog.ProveTree(int64(now), int64(old), p.note())
	return err
}

// note is a reader of nodes that only remembers which were asked for.
func (p *Prover) note() tlog.HashReader {
	if p.kept == nil {
		p.kept = make(map[int64]*Hash)
	}
	return tlog.HashReaderFunc(func(indexes []int64) ([]Hash, error) {
		for _, i := range indexes {
			p.kept[i] = nil
		}
		return make([]Hash, len(indexes)), nil
	})
}

// Append adds the next leaf.
func (p *Prover) Append(leaf Hash) {
	p.tree.grow(leaf, func(level int, n uint64, h Hash) {
		index := tlog.StoredHashIndex(level, int64(n))
		if _, wanted := p.kept[index]; wanted {
			p.kept[index] = &h
		}
	})
}

// Tree is the tree so far. It must not be appended to.
func (p *Prover) Tree() *Frontier { return &p.tree }

// Inclusion is the proof that was wanted by WantInclusion.
func (p *Prover) Inclusion(seq, size uint64) ([]Hash, error) {
	if err := checkInclusion(seq, size); err != nil {
		return nil, err
	}
	proof, err := tlog.ProveRecord(int64(size), int64(seq-1), tlog.HashReaderFunc(p.read))
	if err != nil {
		return nil, fmt.Errorf("prove record %d of %d: %w", seq, size, err)
	}
	return proof, nil
}

// Consistency is the proof that was wanted by WantConsistency. It is empty where
// both sizes are the same, and where the older tree is: everything begins so.
func (p *Prover) Consistency(old, now uint64) ([]Hash, error) {
	if err := checkConsistency(old, now); err != nil || old == 0 {
		return nil, err
	}
	proof, err := tlog.ProveTree(int64(now), int64(old), tlog.HashReaderFunc(p.read))
	if err != nil {
		return nil, fmt.Errorf("prove size %d of %d: %w", old, now, err)
	}
	return proof, nil
}

func (p *Prover) read(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		h, wanted := p.kept[index]
		if !wanted {
			return nil, fmt.Errorf("it was not asked for before the first record")
		}
		if h == nil {
			return nil, fmt.Errorf("the log ends at %d", p.tree.size)
		}
		hashes[i] = *h
	}
	return hashes, nil
}

// CheckInclusion says whether proof shows that leaf is the record with this
// sequence in the tree with this size and root.
func CheckInclusion(proof []Hash, seq uint64, leaf Hash, size uint64, root Hash) error {
	if err := checkInclusion(seq, size); err != nil {
		return err
	}
	if err := tlog.CheckRecord(slices.Clone(proof), int64(size), root, int64(seq-1), leaf); err != nil {
		return fmt.Errorf("record %d is not in the tree of size %d with root %s: %w", seq, size, root, err)
	}
	return nil
}

// CheckConsistency says whether proof shows that the tree of size old and its
// root is the beginning of that of size now.
func CheckConsistency(proof []Hash, old uint64, oldRoot Hash, now uint64, root Hash) error {
	if err := checkConsistency(old, now); err != nil {
		return err
	}
	if old == 0 {
		if empty := new(Frontier).Root(); oldRoot != empty || len(proof) > 0 {
			return fmt.Errorf("the tree of size 0 has root %s and no proof", empty)
		}
		if now > 0 {
			return nil
		}
		if root != oldRoot {
			return fmt.Errorf("the tree of size 0 has root %s, not %s", oldRoot, root)
		}
		return nil
	}
	if err := tlog.CheckTree(slices.Clone(proof), int64(now), root, int64(old), oldRoot); err != nil {
		return fmt.Errorf("the tree of size %d with root %s is not the beginning of that of size %d with root %s: %w", old, oldRoot, now, root, err)
	}
	return nil
}

func checkInclusion(seq, size uint64) error {
	if size > MaxSize || seq < 1 || seq > size {
		return fmt.Errorf("there is no record %d in a tree of size %d", seq, size)
	}
	return nil
}

func checkConsistency(old, now uint64) error {
	if now > MaxSize || old > now {
		return fmt.Errorf("a tree of size %d does not begin with one of size %d", now, old)
	}
	return nil
}
