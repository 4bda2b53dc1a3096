package explain

import (
	"slices"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// maxEarlier is how many attempts before an action are listed: the newest.
const maxEarlier = 50

// story is what becomes of one action.
type story struct {
	need fleet.Action
	id   fleet.ActionID
	// tried are the attempts at the need at one epoch and generation, as far as
	// they counted.
	tried             []Attempt
	epoch, generation uint64
	own               Action // the zero Sequence: it has not come yet
	lens              lens
}

// follow takes a record that has been folded, and its step.
func (y *story) follow(r eventlog.Record, c projection.Change, s Step) {
	if r.Event == nil {
		return
	}
	if d, ok := r.Event.Data.(*events.ActionRequested); ok {
		y.published(r, d, c.Ledger, s)
		return
	}
	if o := outcomeOf(r); o != nil && c.Ledger {
		if y.own.Counted && s.Action == y.id && y.own.Outcome == nil {
			y.own.Outcome = o
		}
		for i := range y.tried {
			if y.tried[i].Action == s.Action {
				y.tried[i].Outcome = o
			}
		}
	}
}

func (y *story) published(r eventlog.Record, d *events.ActionRequested, counted bool, s Step) {
	if (fleet.Action{Type: d.Type, ID: d.ID}) != y.need {
		return
	}
	a := &y.own
	switch {
	case d.Action == y.id && !a.Counted:
		y.begin(r, d, counted, s)
	case counted && a.Sequence > 0 && d.Epoch == a.Epoch && d.Generation == a.Generation && d.Attempt > a.Attempt && a.SupersededBy == "":
		a.SupersededBy, a.SupersededAt = d.Action, r.Sequence
	}
	if !counted || a.Sequence > 0 {
		return
	}
	if d.Epoch != y.epoch || d.Generation != y.generation {
		y.tried, y.epoch, y.generation = nil, d.Epoch, d.Generation
	}
	if len(y.tried) == maxEarlier {
		y.tried = append(y.tried[:0], y.tried[1:]...)
	}
	y.tried = append(y.tried, Attempt{Action: d.Action, Attempt: d.Attempt, Sequence: r.Sequence})
}

// begin takes down the action itself. Where it stands twice, the one that counted
// is meant; where none did, the first.
func (y *story) begin(r eventlog.Record, d *events.ActionRequested, counted bool, s Step) {
	if y.own.Sequence > 0 && !counted {
		return
	}
	y.own = Action{
		Action: y.need, ActionID: y.id, Attempt: d.Attempt, Epoch: d.Epoch, Generation: d.Generation,
		Sequence: r.Sequence, At: s.Time, Counted: counted,
	}
	if p := r.Event.Step; p != nil {
		y.own.Plan, y.own.Basis = p.Plan, p.Basis
	}
	if len(s.Because) > 0 {
		y.own.PlanAt = s.Because[0].Sequence
	}
	if y.own.Basis > 0 && y.own.Basis < r.Sequence {
		_, y.own.Because = y.lens.why(y.need, y.own.Basis)
	}
	if d.Epoch == y.epoch && d.Generation == y.generation {
		y.own.Earlier = slices.Clone(y.tried)
	}
}

// told says that the action has ended: what comes now has other causes.
func (y *story) told() bool { return y.own.Outcome != nil }

func (y *story) action() *Action {
	if y.own.Sequence == 0 {
		return nil
	}
	a := y.own
	return &a
}

// trim leaves out the steps before those that made the need.
func (y *story) trim(x *Explanation) {
	if x.Action == nil || len(x.Action.Because) == 0 {
		return
	}
	first := x.Action.Because[0].Sequence
	for _, c := range x.Action.Because {
		first = min(first, c.Sequence)
	}
	from := slices.IndexFunc(x.Steps, func(s Step) bool { return s.Sequence >= first })
	if from > 0 {
		x.Steps = x.Steps[from:]
		x.Omitted += from
	}
}

// outcomeOf is the outcome that a record is; nil if it is none.
func outcomeOf(r eventlog.Record) *Outcome {
	o := &Outcome{Sequence: r.Sequence, Time: r.Time.Round(0).UTC(), Type: r.Event.Type}
	switch d := r.Event.Data.(type) {
	case *events.ActionSucceeded:
		o.DurationMS = d.DurationMS
	case *events.ActionFailed:
		o.DurationMS, o.Reason, o.Detail = d.DurationMS, d.Reason, d.Detail
	case *events.ActionRefused:
		o.Reason, o.Detail = d.Reason, d.Detail
	default:
		return nil
	}
	return o
}
