package view

import (
	"context"
	"fmt"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

const (
	// chunk is how many records are folded before readers get a turn.
	chunk = 256
	// readAhead is how many times what a cursor returns at once waits for the
	// fold, so that neither stops for the other's unevenness.
	readAhead = 2
)

// foldAll folds what the cursor reads. It reads and decodes the next records
// while those before are folded.
func (v *View) foldAll(ctx context.Context, cursor eventlog.Cursor) error {
	ctx, cancel := context.WithCancel(ctx)
	read := make(chan []eventlog.Record, readAhead)
	var failed error
	go func() {
		defer close(read)
		failed = readAll(ctx, cursor, read)
	}()
	var folded error
	for records := range read {
		for some := range slices.Chunk(records, chunk) {
			if folded == nil {
				folded = v.fold(some)
			}
		}
		if folded != nil {
			cancel()
		}
	}
	cancel()
	if folded != nil {
		return folded
	}
	return fmt.Errorf("follow the log: %w", failed)
}

func readAll(ctx context.Context, cursor eventlog.Cursor, to chan<- []eventlog.Record) error {
	for {
		records, err := cursor.Next(ctx)
		if err != nil {
			return err
		}
		select {
		case to <- records:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
