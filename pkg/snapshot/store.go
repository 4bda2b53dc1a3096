package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Store keeps snapshots; eventlog.Bus is one.
type Store interface {
	// Snapshots lists what is stored, the newest first by the time it was stored.
	Snapshots(ctx context.Context) ([]eventlog.StoredSnapshot, error)
	OpenSnapshot(ctx context.Context, name string) (io.ReadCloser, error)
	PutSnapshot(ctx context.Context, sequence uint64, r io.Reader) (name string, err error)
	// DeleteSnapshots deletes all but the newest keep.
	DeleteSnapshots(ctx context.Context, keep int) error
}

// Why a stored snapshot is of no use. The words are stable.
const (
	// OtherVersion: another release wrote it.
	OtherVersion fleet.Reason = "other_version"
	// Damaged: it is not what was written.
	Damaged fleet.Reason = "damaged"
	// Ahead: it holds more than the log, which therefore is not the one it is of.
	Ahead fleet.Reason = "ahead"
	// Foreign: another record stands at its sequence of the log.
	Foreign fleet.Reason = "foreign"
	// Unreadable: the store did not hand it out. That says nothing about it.
	Unreadable fleet.Reason = "unreadable"
	// Differs: it is whole and of this log, and the fold of the log has another
	// hash. Only Verify finds that out.
	Differs fleet.Reason = "differs"
)

// Skipped is a stored snapshot that is of no use, and why.
type Skipped struct {
	// Name in the store; empty when the store could not even be asked for a list.
	Name   string
	Reason fleet.Reason
	Err    error
}

// Newest returns the newest stored snapshot that is of this log, and where the
// log ended then. It is nil when there is none: then the log is to be folded
// whole. What is of no use is passed over and told to skipped. The only errors
// are those of the log and of ctx.
func Newest(ctx context.Context, log eventlog.Log, store Store, skipped func(Skipped)) (*Snapshot, uint64, error) {
	list, err := store.Snapshots(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, 0, fmt.Errorf("find snapshot: %w", context.Cause(ctx))
		}
		skipped(Skipped{Reason: Unreadable, Err: err})
	}
	// After the list: a snapshot that is stored meanwhile is not ahead of the log.
	end, err := log.Last(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("find snapshot: %w", err)
	}
	for _, stored := range list {
		s, err := read(ctx, log, store, stored.Name, end)
		if err == nil {
			return s, end, nil
		}
		if ctx.Err() != nil {
			return nil, 0, fmt.Errorf("find snapshot: %w", context.Cause(ctx))
		}
		skipped(Skipped{Name: stored.Name, Reason: reasonOf(err), Err: err})
	}
	return nil, end, nil
}

// Errors of a snapshot that does not go with the log.
var (
	errAhead   = errors.New("snapshot is ahead of the log")
	errForeign = errors.New("snapshot is of another log")
)

func reasonOf(err error) fleet.Reason {
	switch {
	case errors.Is(err, ErrOtherVersion):
		return OtherVersion
	case errors.Is(err, ErrDamaged), errors.Is(err, eventlog.ErrSnapshotDamaged):
		return Damaged
	case errors.Is(err, errAhead):
		return Ahead
	case errors.Is(err, errForeign):
		return Foreign
	}
	return Unreadable
}

// read returns a snapshot if it is of the log that ends at end. What it takes
// longest to find out comes last.
func read(ctx context.Context, log eventlog.Log, store Store, name string, end uint64) (_ *Snapshot, err error) {
	r, err := store.OpenSnapshot(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := r.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close snapshot: %w", closeErr)
		}
	}()
	d, err := open(r)
	if err != nil {
		return nil, err
	}
	if err := belongs(ctx, log, d.mark, end); err != nil {
		return nil, err
	}
	return d.state()
}

// belongs says whether the record of the mark is on the log.
func belongs(ctx context.Context, log eventlog.Log, mark Mark, end uint64) error {
	switch {
	case mark.Sequence > end:
		return fmt.Errorf("%w: it holds %d records, the log %d", errAhead, mark.Sequence, end)
	case mark.Sequence == 0:
		return fmt.Errorf("%w: it holds no record", ErrDamaged)
	}
	records, err := log.Read(ctx, mark.Sequence-1, 1)
	if err != nil {
		return fmt.Errorf("read the record it ends with: %w", err)
	}
	if len(records) != 1 || MarkOf(records[0]) != mark {
		return fmt.Errorf("%w: another record stands at %d", errForeign, mark.Sequence)
	}
	return nil
}
