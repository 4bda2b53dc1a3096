package explain

import (
	"context"
	"fmt"
	"iter"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Source is a log from its beginning, with the texts of its inventories: a
// server's, or a file's.
type Source interface {
	// Records yields what stands behind a sequence, in order, up to the end of the
	// log as it was when it was asked. An error is the last thing it yields.
	Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error]
	// Inventory is the text with a digest.
	Inventory(ctx context.Context, digest string) ([]byte, error)
}

// Read follows a whole log for a subject. An inventory that cannot be had or read
// ends up in Explanation.Unreadable; a log that cannot be read is an error.
func Read(ctx context.Context, from Source, subjects events.Subjects, subject Subject) (*Explainer, error) {
	inventories := view.NewInventories(from.Inventory)
	e := New(subject, subjects, func(digest string) (*fleet.Inventory, error) { return inventories.Get(ctx, digest) })
	for r, err := range from.Records(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("read the log behind sequence %d: %w", e.state.Sequence(), err)
		}
		if err := e.Follow(r); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil { // an inventory may be missing because of it
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return e, nil
}
