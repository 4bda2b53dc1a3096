package doctor

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// snapshots that are of no use cost a start its short cut, and nothing else. One
// that differs from its log is another matter: processes have begun with it.
func snapshots(f *Facts) Finding {
	if f.Snapshots.Err != nil {
		return unknown(sentence(f.Snapshots.Err), "")
	}
	var useless []string
	for _, v := range f.Snapshots.Verdicts {
		if v.Reason == snapshot.Differs {
			return fail(fmt.Sprintf("Snapshot %s is not what the log folds to: %v.", v.Stored.Name, v.Err),
				fmt.Sprintf("delete it with \"nats object rm BUCKET %s\", and start planners and executors again", v.Stored.Name))
		}
		if v.Reason != "" {
			useless = append(useless, fmt.Sprintf("%s (%v)", v.Stored.Name, v.Err))
		}
	}
	all := len(f.Snapshots.Verdicts)
	switch {
	case len(useless) > 0:
		return warn(fmt.Sprintf("%s of %d cannot be used: %s.", count(len(useless), "snapshot"), all, list(useless)),
			"starts pass over it; planners replace it by a newer one in time")
	case all == 0:
		return ok("No snapshot is stored: every start folds the whole log.")
	}
	newest := f.Snapshots.Verdicts[0].Stored.Sequence
	return ok("%s folded again and found right; the newest is at sequence %d, %s behind the end.",
		count(all, "snapshot"), newest, count(int(f.Fold.Last-newest), "record"))
}
