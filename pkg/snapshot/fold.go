package snapshot

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Fold folds the next record of a log. Every fold of records goes through here,
// for a snapshot stands for all of them. The only error is eventlog.ErrGap.
func Fold(s *projection.State, subjects events.Subjects, r eventlog.Record) (change projection.Change, err error) {
	if r.Event == nil {
		err = s.Skip(r.Sequence, subjects, r.Message.Subject)
	} else {
		change, err = s.Apply(r.Sequence, r.Time, r.Event)
	}
	if err != nil {
		return change, fmt.Errorf("fold the log: %w: %w", eventlog.ErrGap, err)
	}
	return change, nil
}
