package projection_test

import (
	"cmp"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

var (
	actionTypes  = []events.Type{events.TypeEnrollNode, events.TypeIssueCredential, events.TypeDecommissionNode, events.TypeDisableStrictEnforcement, events.TypeEnableStrictEnforcement}
	outcomeTypes = []events.Type{events.TypeActionSucceeded, events.TypeActionFailed, events.TypeActionRefused}
)

// trip is an action that counted, and the outcome that ended it, if one has.
type trip struct {
	projection.Flight
	end *message
}

// flying says whether the action had begun and not ended when a sequence came.
func (t trip) flying(seq uint64) bool { return t.Sequence < seq && (t.end == nil || t.end.seq >= seq) }

// trips are all actions that ever counted.
func (c chronicle) trips() (all []trip) {
	for _, m := range c {
		switch {
		case m.is(actionTypes...) && m.fits:
			f, planned := flightOf(m), false
			if f.Shard, planned = c.planned(m.seq); planned && c.begins(f, all) {
				all = append(all, trip{Flight: f})
			}
		case m.is(outcomeTypes...) && m.fits:
			for i := range all {
				if all[i].ID == endedAction(m.event) && all[i].end == nil {
					all[i].end = &m
				}
			}
		}
	}
	return all
}

// begins says whether an action counts after those that did: it is of its
// node's present epoch and of no inventory to come, not one that is in flight,
// and a newer attempt at its need than any that is remembered, by no leap.
func (c chronicle) begins(f projection.Flight, before []trip) bool {
	if f.Attempt < 1 || f.Epoch != c[:f.Sequence-1].epoch(f.Action.ID) {
		return false
	}
	if now := c[:f.Sequence-1].inventory().Generation; now > 0 && f.Generation > now {
		return false
	}
	newest := 0
	for _, t := range before {
		older := t.Generation < f.Generation || t.Generation == f.Generation && t.Attempt < f.Attempt
		sameNeed := t.Action == f.Action && t.Epoch == f.Epoch
		if t.ID == f.ID && t.end == nil || sameNeed && !older && !c.forgotten(t, before, f.Sequence) {
			return false
		}
		if sameNeed && t.Generation == f.Generation && !c.forgotten(t, before, f.Sequence) {
			newest = max(newest, t.Attempt)
		}
	}
	return f.Attempt-newest < leap
}

// forgotten: between the action and a sequence another inventory came while its
// node was not observed and had nothing in flight, or while attempts at the need
// claimed to be of that inventory or of a later one.
func (c chronicle) forgotten(t trip, all []trip, seq uint64) bool {
	for _, inv := range c.inventories() {
		if inv.seq < t.Sequence || inv.seq >= seq {
			continue
		}
		if c.ahead(t.Action, all, inv) {
			return true
		}
		if t.Action.ID == "" {
			continue
		}
		_, l := c[:inv.seq].lives(t.Action.ID)
		busy := slices.ContainsFunc(all, func(o trip) bool { return o.Action.ID == t.Action.ID && o.flying(inv.seq) })
		if len(l) == 0 && !busy {
			return true
		}
	}
	return false
}

// ahead says that the newest attempt at a need before an inventory came was of
// that one's generation already.
func (c chronicle) ahead(need fleet.Action, all []trip, inv message) bool {
	generation := uint64(0)
	for _, t := range all {
		if t.Action == need && t.Sequence < inv.seq && t.Epoch == c[:inv.seq].epoch(need.ID) {
			generation = t.Generation
		}
	}
	return generation >= inv.event.Data.(*events.InventoryApplied).Generation
}

func flightOf(m message) projection.Flight {
	d := m.event.Data.(*events.ActionRequested)
	f := projection.Flight{
		Action: fleet.Action{Type: d.Type, ID: d.ID}, ID: d.Action, Sequence: m.seq, At: m.at,
		Attempt: d.Attempt, Epoch: d.Epoch, Generation: d.Generation,
	}
	if s := m.event.Step; s != nil {
		f.Plan, f.Step, f.Steps, f.Basis = s.Plan, s.Step, s.Steps, s.Basis
	}
	return f
}

func endedAction(e *events.Event) fleet.ActionID {
	switch d := e.Data.(type) {
	case *events.ActionSucceeded:
		return d.Action
	case *events.ActionFailed:
		return d.Action
	case *events.ActionRefused:
		return d.Action
	}
	panic("no outcome")
}

// inFlight lists what has begun and not ended, in the order of the log.
func inFlight(all []trip) []projection.Flight {
	list := []projection.Flight{}
	for _, t := range all {
		if t.end == nil {
			list = append(list, t.Flight)
		}
	}
	return list
}

// attempts at a need: of the present life, as far as they are remembered, those
// at the generation of the newest.
func (c chronicle) attempts(need fleet.Action, all []trip) projection.Attempts {
	ends, _ := c.lives(need.ID)
	var tried []trip
	for _, t := range all {
		ofThisLife := len(ends) == 0 || t.Sequence > ends[len(ends)-1].seq
		if t.Action == need && ofThisLife && !c.forgotten(t, all, uint64(len(c)+1)) {
			tried = append(tried, t)
		}
	}
	if len(tried) == 0 {
		return projection.Attempts{}
	}
	last := tried[len(tried)-1]
	tried = slices.DeleteFunc(tried, func(t trip) bool { return t.Generation != last.Generation })
	a := outcomesOf(noted(all, tried))
	a.Published, a.Epoch, a.Generation = last.Attempt, last.Epoch, last.Generation
	a.Retry = c.retried(last, all, a)
	return a
}

// retried: behind the end of the newest attempt somebody asked for another, by
// name and while nothing of the need was in flight.
func (c chronicle) retried(last trip, all []trip, a projection.Attempts) bool {
	if a.Failures == 0 && !a.LastRefused {
		return false
	}
	for _, m := range c.of(events.TypeRetryRequested) {
		d := m.event.Data.(*events.RetryRequested)
		named := d.Type == last.Action.Type && d.ID == last.Action.ID && d.Attempt == last.Attempt && d.Epoch == last.Epoch && d.Generation == last.Generation
		flies := slices.ContainsFunc(all, func(t trip) bool { return t.Action == last.Action && t.flying(m.seq) })
		if named && m.seq > last.Sequence && !flies {
			return true
		}
	}
	return false
}

// noted are the attempts whose outcome came while something was remembered of the
// need at their epoch and generation. What was forgotten meanwhile may be among
// them: it was an attempt at the same, and says how that went.
func noted(all, tried []trip) (list []trip) {
	for _, t := range all {
		stood := func(u trip) bool {
			return u.Action == t.Action && u.Epoch == t.Epoch && u.Generation == t.Generation && u.Sequence < t.end.seq
		}
		if t.end != nil && slices.ContainsFunc(tried, stood) {
			list = append(list, t)
		}
	}
	return list
}

// outcomesOf tells how the attempts ended, in the order in which they did.
func outcomesOf(tried []trip) (a projection.Attempts) {
	slices.SortFunc(tried, func(a, b trip) int { return cmp.Compare(a.end.seq, b.end.seq) })
	for _, t := range tried {
		a.LastOutcome, a.LastRefused, a.LastError = t.end.at, false, ""
		switch d := t.end.event.Data.(type) {
		case *events.ActionSucceeded:
			a.Failures = 0
		case *events.ActionFailed:
			a.Failures, a.LastError = a.Failures+1, reasonAndDetail(d.Reason, d.Detail)
		case *events.ActionRefused:
			a.LastRefused, a.LastError = true, reasonAndDetail(d.Reason, d.Detail)
		}
	}
	return a
}

func reasonAndDetail(reason fleet.Reason, detail string) string {
	if detail != "" {
		return string(reason) + ": " + detail
	}
	return string(reason)
}
