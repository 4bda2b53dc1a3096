package projection

import (
	"slices"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// applyRetry takes the wish that an attempt be followed by the next without
// waiting. It counts once, and only while that attempt is the newest of its need,
// has ended without success, and nothing of the need is in flight; the next
// attempt ends it. The count of failures stays: it is evidence.
func (s *State) applyRetry(e *events.Event) (changed, fits bool) {
	d, ok := data[events.RetryRequested](e)
	if !ok || d.Type.Phase() == 0 || d.ID != e.Node || d.Type.ConcernsNode() != (d.ID != "") {
		return false, false
	}
	return s.ledger.retry(fleet.Action{Type: d.Type, ID: d.ID}, d), true
}

func (l *Ledger) retry(need fleet.Action, d *events.RetryRequested) bool {
	if slices.ContainsFunc(l.flights, func(f *Flight) bool { return f.Action == need }) {
		return false
	}
	return l.change(need, func(a *Attempts, tried bool) bool {
		switch {
		case !tried, a.Retry, a.Epoch != d.Epoch, a.Generation != d.Generation, a.Published != d.Attempt:
			return false
		case a.LastOutcome.IsZero(), a.Failures == 0 && !a.LastRefused:
			return false
		}
		a.Retry = true
		return true
	})
}
