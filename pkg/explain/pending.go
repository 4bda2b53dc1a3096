package explain

import (
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// PendingOf says of each action that the plan wants on a fold, in plan order,
// what becomes of it, and then of each that is in flight and no longer wanted, in
// the order of the log. inv is the inventory in force, nil for none. Thresholds
// are those of the newest plan, and planners are taken to be warm: whether they
// are is not on the log.
func PendingOf(st *projection.State, inv *fleet.Inventory, now time.Time) []Pending {
	p := pender{State: st, now: now, flights: st.Ledger().Flights(), flies: make(map[fleet.Action]projection.Flight), held: make(map[fleet.Action]fleet.Held)}
	for _, f := range slices.Backward(p.flights) {
		p.flies[f.Action] = f
	}
	list := []Pending{}
	wanted := make(map[fleet.Action]bool)
	if inv != nil {
		p.decide(inv)
		for _, a := range p.plan.Actions {
			wanted[a] = true
			list = append(list, p.of(a))
		}
	}
	for _, f := range p.flights {
		if !wanted[f.Action] {
			unwanted := p.flying(f)
			unwanted.Unwanted = true
			list = append(list, unwanted)
		}
	}
	return list
}

// pender looks at one fold.
type pender struct {
	*projection.State
	now       time.Time
	flights   []projection.Flight
	flies     map[fleet.Action]projection.Flight // the oldest of a need
	plan      fleet.Plan
	situation engine.Situation
	held      map[fleet.Action]fleet.Held // by a safeguard
	waiting   map[fleet.Action]fleet.Held // by Dispatch
	next      map[fleet.Action]engine.Step
	stuck     map[fleet.Action]bool
}

func (p *pender) decide(inv *fleet.Inventory) {
	p.situation = engine.Situation{Desired: inv, Observed: p.Observed(), Facts: p.State, Settled: true, Now: p.now}
	p.plan = engine.Reconcile(inv, p.Observed())
	allowed, held := engine.Hold(p.plan, p.situation, decide.Safeguards(p.State))
	for _, h := range held {
		p.held[h.Action] = h
	}
	ledger, generation, policy := decide.Ledger(p.State), p.Inventory().Generation, decide.Policy(p.State)
	d := engine.Dispatch(allowed, ledger, generation, policy, p.now)
	p.waiting, p.next, p.stuck = make(map[fleet.Action]fleet.Held), make(map[fleet.Action]engine.Step), make(map[fleet.Action]bool)
	for _, h := range d.Held {
		p.waiting[h.Action] = h
	}
	for _, s := range d.Publish {
		p.next[s.Action] = s
	}
	for _, s := range engine.StuckNeeds(p.plan, ledger, generation, policy) {
		p.stuck[s.Action] = true
	}
}

// of is what becomes of an action that the plan wants. What is in flight is so
// before anything else; a hold on it is told besides.
func (p *pender) of(a fleet.Action) Pending {
	if f, flies := p.flies[a]; flies {
		return p.flying(f)
	}
	out := p.tried(a)
	if h, held := p.held[a]; held {
		out.State, out.Reason, out.Detail = Held, h.Reason, h.Detail
		out.Until = engine.HoldEnds([]fleet.Held{h}, p.situation, decide.Safeguards(p.State)).UTC()
		return out
	}
	h, waits := p.waiting[a]
	out.Reason, out.Detail = h.Reason, h.Detail
	switch {
	case !waits:
		out.State = ToPublish
	case h.Reason == engine.ReasonBackingOff:
		out.State, out.Until = BackingOff, p.backsOffUntil(a)
	case h.Reason == engine.ReasonInFlight:
		out.State, out.BlockedBy = Blocked, p.others(a)
	default:
		out.State = Blocked
	}
	return out
}

// tried is what the ledger knows of a need, and the attempt that would be next.
func (p *pender) tried(a fleet.Action) Pending {
	past := decide.Ledger(p.State).Attempts(a)
	epoch, generation := p.Ledger().Epoch(a.ID), p.Inventory().Generation
	return Pending{
		Action: a, Attempt: past.Published + 1, ActionID: engine.ActionIDFor(a, epoch, generation, past.Published+1),
		Failures: past.Failures, LastError: past.LastError, Retry: past.Retry, Stuck: p.stuck[a],
	}
}

func (p *pender) flying(f projection.Flight) Pending {
	out := p.tried(f.Action)
	out.State, out.ActionID, out.Attempt, out.Published, out.Since = InFlight, f.ID, f.Attempt, f.Sequence, f.At
	if h := p.held[f.Action]; engine.HoldsInFlight(h.Reason) {
		out.Reason, out.Detail = h.Reason, h.Detail
	}
	for _, other := range p.flights {
		sameNode := other.Action.ID == f.Action.ID && other.Sequence < f.Sequence
		earlier := other.Plan == f.Plan && f.Plan != "" && other.Action.Type.Phase() < f.Action.Type.Phase()
		if sameNode || earlier {
			out.BlockedBy = append(out.BlockedBy, other.ID)
		}
	}
	return out
}

// others are the actions in flight for the node of an action, or for the fleet.
func (p *pender) others(a fleet.Action) (ids []fleet.ActionID) {
	for _, f := range p.flights {
		if f.Action.ID == a.ID {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

func (p *pender) backsOffUntil(a fleet.Action) time.Time {
	alone := fleet.Plan{Actions: []fleet.Action{a}}
	return engine.Dispatch(alone, decide.Ledger(p.State), p.Inventory().Generation, decide.Policy(p.State), p.now).Wake.UTC()
}
