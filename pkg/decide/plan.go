package decide

import (
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Decided is a planner's decision on one fold.
type Decided struct {
	// Plan is all that lies between the inventory and the fold.
	Plan fleet.Plan
	// Dispatched is what of it to publish now. Its Held begins with what a
	// safeguard holds: if not all can be listed, that is of more interest than
	// what only waits its turn. Its Wake is also when time ends such a hold.
	engine.Dispatched
	// Stuck is what of the plan keeps failing.
	Stuck []engine.Stuck
}

// Plan reconciles, holds and dispatches on a fold. The inventory is the one in
// force there.
func Plan(s *projection.State, inv *fleet.Inventory, g Given) Decided {
	at := situation(s, g)
	at.Desired, at.Observed = inv, s.Observed()
	return conclude(s, g, at, whole{}, func() *Desired { return NewDesired(inv) })
}

func situation(s *projection.State, g Given) engine.Situation {
	return engine.Situation{Facts: s, Settled: g.Settled, Waiting: g.Waiting, SightSince: g.SightSince, Now: g.Now}
}

// rules are engine.Reconcile and engine.Hold, asked of everybody or of who
// changed: engine.Incremental has them, too.
type rules interface {
	Decide(engine.Situation, engine.Safeguards) (plan, allowed fleet.Plan, held []fleet.Held)
}

// whole asks of everybody.
type whole struct{}

func (whole) Decide(at engine.Situation, g engine.Safeguards) (plan, allowed fleet.Plan, held []fleet.Held) {
	plan = engine.Reconcile(at.Desired, at.Observed)
	allowed, held = engine.Hold(plan, at, g)
	return plan, allowed, held
}

// conclude is a planner's decision, however the rules are asked. desired is the
// inventory with its index, which only a shard needs.
func conclude(s *projection.State, g Given, at engine.Situation, r rules, desired func() *Desired) Decided {
	plan, allowed, held := r.Decide(at, g.Safeguards)
	ledger, generation := Ledger(s), s.Inventory().Generation
	if g.Shard != "" {
		p := newPart(s, desired(), g.Shard)
		plan, allowed, held = p.plan(plan), p.plan(allowed), p.held(held)
		ledger = p.ledger(s)
	}
	d := Decided{
		Plan: plan, Dispatched: engine.Dispatch(allowed, ledger, generation, g.Policy, g.Now),
		Stuck: engine.StuckNeeds(plan, ledger, generation, g.Policy),
	}
	if ends := engine.HoldEnds(held, at, g.Safeguards); !ends.IsZero() && (d.Wake.IsZero() || ends.Before(d.Wake)) {
		d.Wake = ends
	}
	d.Held = append(held, d.Held...)
	return d
}

// Ledger is the fold's ledger as engine.Dispatch asks it: attempts count at the
// node's present epoch and the inventory's present generation.
func Ledger(s *projection.State) engine.Ledger { return ledger{s.Ledger(), s.Inventory().Generation} }

type ledger struct {
	*projection.Ledger
	generation uint64
}

func (l ledger) Attempts(need engine.Need) engine.Attempts {
	a := l.AttemptsAt(need, l.Epoch(need.ID), l.generation)
	return engine.Attempts{
		Published: a.Published, Failures: a.Failures,
		LastOutcome: a.LastOutcome, LastRefused: a.LastRefused, LastError: a.LastError, Retry: a.Retry,
	}
}
