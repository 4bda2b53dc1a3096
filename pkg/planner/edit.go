package planner

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

// SubjectReader reads the log on one subject; eventlog.Bus offers it.
type SubjectReader interface {
	ReadSubject(ctx context.Context, subject string, after uint64, limit int) ([]eventlog.Record, error)
}

// AppliedSince says whether a text was put into force as a generation above
// since. An edit of a file counts once: who saw the file's former text while
// generation since was in force, and finds that the new one was in force after
// it, knows that somebody else has carried the edit out, and that whatever is in
// force now came later. It must not be brought back. With since 0, as for a file
// that is read for the first time, any generation counts.
//
// last is the newest sequence on the subject of inventories that the caller knows
// of, as State.LastInventory gives it. A replica that has not got that far is no
// witness: that is an error, and to be asked again.
func AppliedSince(ctx context.Context, log SubjectReader, subjects events.Subjects, text []byte, since, last uint64) (bool, error) {
	const page = 100
	digest := inventory.Digest(text)
	for after := uint64(0); ; {
		records, err := log.ReadSubject(ctx, subjects.Inventory(), after, page)
		if err != nil {
			return false, fmt.Errorf("read which inventories were applied: %w", err)
		}
		for _, r := range records {
			after = r.Sequence
			if r.Event == nil {
				continue
			}
			if d, ok := r.Event.Data.(*events.InventoryApplied); ok && d.Digest == digest && d.Generation > since {
				return true, nil
			}
		}
		switch {
		case len(records) == page:
		case after < last:
			return false, fmt.Errorf("read which inventories were applied: the answer ends at sequence %d, and there is one at %d", after, last)
		default:
			return false, nil
		}
	}
}
