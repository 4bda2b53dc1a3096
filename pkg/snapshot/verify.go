package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Verdict is what Verify found of one stored snapshot.
type Verdict struct {
	Stored eventlog.StoredSnapshot
	// Reason is empty when the snapshot is what the log folds to; else it is one
	// of the reasons of this package, and Err says more.
	Reason fleet.Reason
	Err    error
	// Hash of the state in the snapshot, Folded that of the log folded up to the
	// same sequence; zero when it did not come to that.
	Hash, Folded Hash
}

// Verify holds every stored snapshot against the log: it folds the log once,
// from its beginning to the highest sequence among them, and compares hashes on
// the way. The verdicts stand in the order of the store, the newest first. The
// error is one of the log or of the store's list; then there are no verdicts.
func Verify(ctx context.Context, log eventlog.Log, store Store) ([]Verdict, error) {
	list, err := store.Snapshots(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify snapshots: %w", err)
	}
	end, err := log.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify snapshots: %w", err)
	}
	verdicts := make([]Verdict, len(list))
	var due []claim
	for i, stored := range list {
		v := &verdicts[i]
		v.Stored = stored
		s, err := read(ctx, log, store, stored.Name, end)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("verify snapshots: %w", context.Cause(ctx))
		}
		if err != nil {
			v.Reason, v.Err = reasonOf(err), err
			continue
		}
		v.Hash = s.Hash
		due = append(due, claim{s.Mark.Sequence, v})
	}
	slices.SortFunc(due, func(a, b claim) int { return cmp.Compare(a.sequence, b.sequence) })
	if err := settle(ctx, log, due); err != nil {
		return nil, fmt.Errorf("verify snapshots: %w", err)
	}
	return verdicts, nil
}

// claim is a hash that a snapshot says the fold has at a sequence.
type claim struct {
	sequence uint64
	verdict  *Verdict
}

// settle folds the log from its beginning and compares at each claim.
func settle(ctx context.Context, log eventlog.Log, due []claim) error {
	state := projection.New()
	for _, c := range due {
		for r, err := range eventlog.Through(ctx, log, state.Sequence(), c.sequence) {
			if err != nil {
				return err
			}
			if _, err := Fold(state, log.Subjects(), r); err != nil {
				return err
			}
		}
		var err error
		if c.verdict.Folded, err = HashOf(state); err != nil {
			return err
		}
		if c.verdict.Folded != c.verdict.Hash {
			c.verdict.Reason = Differs
			c.verdict.Err = fmt.Errorf("the log folds to %s, the snapshot has %s", c.verdict.Folded, c.verdict.Hash)
		}
	}
	return nil
}
