package projection

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func (s *State) applyAction(seq uint64, at time.Time, e *events.Event) (c Change, fits bool) {
	d, ok := data[events.ActionRequested](e)
	if !ok || events.TypeOfAction(d.Type) != e.Type || d.ID != e.Node || d.Type.ConcernsNode() != (d.ID != "") {
		return Change{}, false
	}
	if s.inventory.Generation > 0 && d.Generation > s.inventory.Generation {
		return Change{}, true // of an inventory that is not there yet
	}
	if !s.actionCounts(seq) {
		return Change{}, true
	}
	f := Flight{
		Action: fleet.Action{Type: d.Type, ID: d.ID}, ID: d.Action, Sequence: seq, At: at,
		Attempt: d.Attempt, Epoch: d.Epoch, Generation: d.Generation, Shard: s.planned(seq),
	}
	if e.Step != nil {
		f.Plan, f.Step, f.Steps, f.Basis = e.Step.Plan, e.Step.Step, e.Step.Steps, e.Step.Basis
	}
	return Change{Ledger: s.ledger.begin(f)}, true
}

// applyOutcome ends an action; the first outcome is the one that counts.
func (s *State) applyOutcome(at time.Time, e *events.Event) (c Change, fits bool) {
	id, change, ok := outcome(at, e)
	if !ok {
		return Change{}, false
	}
	f := s.ledger.land(id)
	if f == nil {
		return Change{}, true
	}
	s.ledger.note(f, change)
	return Change{Ledger: true}, true
}

// outcome says which action ended, and what that means for its need.
func outcome(at time.Time, e *events.Event) (id fleet.ActionID, change func(*Attempts), ok bool) {
	switch e.Type {
	case events.TypeActionSucceeded:
		if d, ok := data[events.ActionSucceeded](e); ok {
			return d.Action, func(a *Attempts) {
				a.LastOutcome, a.LastRefused, a.LastError, a.Failures = at, false, "", 0
			}, true
		}
	case events.TypeActionFailed:
		if d, ok := data[events.ActionFailed](e); ok {
			return d.Action, func(a *Attempts) {
				a.LastOutcome, a.LastRefused, a.LastError = at, false, because(d.Reason, d.Detail)
				a.Failures++
			}, true
		}
	case events.TypeActionRefused:
		if d, ok := data[events.ActionRefused](e); ok {
			return d.Action, func(a *Attempts) {
				a.LastOutcome, a.LastRefused, a.LastError = at, true, because(d.Reason, d.Detail)
			}, true
		}
	}
	return "", nil, false
}

func because(reason fleet.Reason, detail string) string {
	if detail == "" {
		return string(reason)
	}
	return string(reason) + ": " + detail
}
