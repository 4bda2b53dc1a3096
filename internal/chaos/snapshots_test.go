//go:build unix

package chaos

import (
	"context"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// snapshotEvery is so few records that planners are killed while they save.
const snapshotEvery = "25"

// judgeSnapshots holds what the planners saved, two of them and often killed,
// against the log.
func (f *chaosFleet) judgeSnapshots(bus *eventlog.Bus) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), f.trial.quiet)
	defer cancel()
	verdicts, err := snapshot.Verify(ctx, bus.Log(), bus)
	if err != nil {
		f.t.Error(err)
	}
	if len(verdicts) == 0 {
		f.t.Error("no planner saved a snapshot: the run proves nothing of them")
	}
	for _, v := range verdicts {
		f.t.Logf("snapshot %s of %d bytes: %s", v.Stored.Name, v.Stored.Size, v.Hash)
		if v.Reason != "" {
			f.t.Errorf("snapshot %s is of no use (%s): %v", v.Stored.Name, v.Reason, v.Err)
		}
	}
}
