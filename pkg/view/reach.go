package view

import (
	"context"
	"fmt"
)

// reach waits until everything up to a sequence is folded. All who wait for the
// same one are woken once, where Wait would have each of them look at each fold.
func (v *View) reach(ctx context.Context, sequence uint64) error {
	if done, err := v.folded(sequence); done || err != nil {
		return err
	}
	select {
	case <-v.reaches(sequence):
	case <-ctx.Done():
		return fmt.Errorf("wait for the log: %w", context.Cause(ctx))
	}
	_, err := v.folded(sequence)
	return err
}

func (v *View) folded(sequence uint64) (bool, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.err != nil {
		return false, fmt.Errorf("wait for the log: %w", v.err)
	}
	return v.state.Sequence() >= sequence, nil
}

// reaches is closed when everything up to the sequence is folded, or the view
// has stopped.
func (v *View) reaches(sequence uint64) <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	to, ok := v.targets[sequence]
	if !ok {
		if v.targets == nil {
			v.targets = make(map[uint64]chan struct{})
		}
		to = make(chan struct{})
		v.targets[sequence] = to
		v.wakeReached()
	}
	return to
}

// wakeReached wakes those who wait for no more than there is. The lock is held.
func (v *View) wakeReached() {
	for sequence, to := range v.targets {
		if v.err != nil || sequence <= v.state.Sequence() {
			close(to)
			delete(v.targets, sequence)
		}
	}
}
