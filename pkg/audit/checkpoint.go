package audit

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// checkpoints compares those of this size that were kept elsewhere with the tree.
func (a *audit) checkpoints(size uint64) {
	for _, c := range a.options.Checkpoints {
		if c.Size == size {
			a.hold(size, c, a.tree.Frontier().Root())
		}
	}
}

// hold compares a checkpoint with the root of its size.
func (a *audit) hold(sequence uint64, c merkle.Checkpoint, root merkle.Hash) {
	if root != c.Root {
		a.differ(sequence, WhatCheckpoint, fmt.Sprintf("root %s after %d records, as the checkpoint of %s says", c.Root, c.Size, c.Origin), "root "+root.String())
	}
}

// unreached reports the checkpoints of a log that was longer.
func (a *audit) unreached(last uint64) {
	for _, c := range a.options.Checkpoints {
		if c.Size > last {
			a.differ(last, WhatCheckpoint, fmt.Sprintf("%d records, as the checkpoint of %s says", c.Size, c.Origin), fmt.Sprintf("%d records", last))
		}
	}
}

// unsigned reports a log that should be signed and has no checkpoint.
func (a *audit) unsigned(last uint64) {
	if len(a.options.Keys) > 0 && len(a.options.Checkpoints) == 0 && a.signatures == 0 {
		a.differ(last, WhatCheckpoint, "a checkpoint signed by the key of "+a.options.Keys[0].Name(), "none on the log")
	}
}

// signed verifies a checkpoint that stands on the log itself.
func (a *audit) signed(sequence uint64, d *events.CheckpointSigned) error {
	read := merkle.Read
	if len(a.options.Keys) > 0 {
		read = func(signed []byte) (merkle.Checkpoint, error) { return merkle.Open(signed, a.options.Keys...) }
	}
	c, err := read([]byte(d.Note))
	if err == nil && (c.Size != d.Size || c.Size >= sequence) {
		err = fmt.Errorf("it is of size %d, and said to be of size %d at sequence %d", c.Size, d.Size, sequence)
	}
	if err != nil {
		a.differ(sequence, WhatCheckpoint, "a signed checkpoint of the log before it", err.Error())
		return nil
	}
	a.signatures++
	root, ok := a.tree.RootAt(c.Size)
	if !ok {
		if root, err = a.rootAt(c.Size); err != nil {
			return err
		}
	}
	a.hold(sequence, c, root)
	return nil
}

// rootAt reads the beginning of the log once more, for a checkpoint that came so
// late that its root is no longer known. Of several such, each goes on from the
// one before.
func (a *audit) rootAt(size uint64) (merkle.Hash, error) {
	if a.again == nil || a.again.Size() > size {
		a.again, _ = merkle.NewFrontier(0, nil) // an empty one cannot be wrong
	}
	if a.again.Size() == size {
		return a.again.Root(), nil
	}
	for r, err := range a.source.Records(a.ctx, a.again.Size()) {
		if err != nil {
			return merkle.Hash{}, err
		}
		if a.again.Append(merkle.LeafOf(r)); a.again.Size() == size {
			break
		}
	}
	return a.again.Root(), nil
}
