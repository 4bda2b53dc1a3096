package audit

import "fmt"

// checkpoints compares those of this size with the tree.
func (a *audit) checkpoints(size uint64) {
	for _, c := range a.options.Checkpoints {
		if c.Size != size {
			continue
		}
		if root := a.tree.Frontier().Root(); root != c.Root {
			a.differ(size, Checkpoint, fmt.Sprintf("root %s after %d records, as the checkpoint of %s says", c.Root, size, c.Origin), "root "+root.String())
		}
	}
}

// unreached reports the checkpoints of a log that was longer.
func (a *audit) unreached(last uint64) {
	for _, c := range a.options.Checkpoints {
		if c.Size > last {
			a.differ(last, Checkpoint, fmt.Sprintf("%d records, as the checkpoint of %s says", c.Size, c.Origin), fmt.Sprintf("%d records", last))
		}
	}
}
