package merkle

// recentLeaves is how far back a Recent knows roots at least.
const recentLeaves = 4096

// Recent is a growing tree that still knows its roots of a while ago: a
// checkpoint that stands on a log is of a size that the log had shortly before.
type Recent struct {
	now    *Frontier
	base   *Frontier
	leaves []Hash // behind base
}

// NewRecent goes on from f; it knows no roots from before.
func NewRecent(f *Frontier) *Recent { return &Recent{now: f.Clone(), base: f.Clone()} }

// Append adds the next leaf.
func (r *Recent) Append(leaf Hash) {
	r.now.Append(leaf)
	r.leaves = append(r.leaves, leaf)
	if len(r.leaves) < 2*recentLeaves {
		return
	}
	for _, old := range r.leaves[:recentLeaves] {
		r.base.Append(old)
	}
	r.leaves = append(r.leaves[:0], r.leaves[recentLeaves:]...)
}

// Frontier is the tree as it is now. It must not be appended to.
func (r *Recent) Frontier() *Frontier { return r.now }

// RootAt is the root when the tree had this size; false where that is not known
// any more, or not yet.
func (r *Recent) RootAt(size uint64) (Hash, bool) {
	if size < r.base.size || size > r.now.size {
		return Hash{}, false
	}
	f := r.base.Clone()
	for _, leaf := range r.leaves[:size-r.base.size] {
		f.Append(leaf)
	}
	return f.Root(), true
}
