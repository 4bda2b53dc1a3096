package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// liveRecords is the log of a running fleet as a history: up to its end of now.
type liveRecords struct{ bus *eventlog.Bus }

// Records yields what stands behind a sequence. What is appended meanwhile is left
// out, so that a fleet that never rests is explained all the same.
func (l liveRecords) Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		end, err := l.bus.Log().Last(ctx)
		if err != nil {
			yield(eventlog.Record{}, fmt.Errorf("find the end of the log: %w", err))
			return
		}
		for after < end {
			records, err := l.bus.Log().Read(ctx, after, readPage)
			if err == nil && len(records) == 0 {
				err = fmt.Errorf("%w: nothing behind sequence %d of %d", eventlog.ErrGap, after, end)
			}
			if err != nil {
				yield(eventlog.Record{}, err)
				return
			}
			for _, r := range records {
				if r.Sequence > end {
					return
				}
				if !yield(r, nil) {
					return
				}
				after = r.Sequence
			}
		}
	}
}

// Inventory is the text with a digest.
func (l liveRecords) Inventory(ctx context.Context, digest string) ([]byte, error) {
	return l.bus.GetInventory(ctx, digest)
}
