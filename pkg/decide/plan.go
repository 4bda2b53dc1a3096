package decide

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Given is what a planner decides by, besides the log and the inventory. All of
// it but SightSince is recorded in plan.decided, and what that holds is, too.
type Given struct {
	// Settled, Waiting and SightSince are those of engine.Situation.
	Settled    bool
	Waiting    string
	SightSince time.Time
	Now        time.Time
	// Safeguards and Policy must be valid.
	Safeguards engine.Safeguards
	Policy     engine.Policy
}

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
	situation := engine.Situation{
		Desired: inv, Observed: s.Observed(), Facts: s, Settled: g.Settled, Waiting: g.Waiting, SightSince: g.SightSince, Now: g.Now,
	}
	d := Decided{Plan: engine.Reconcile(inv, s.Observed())}
	allowed, held := engine.Hold(d.Plan, situation, g.Safeguards)
	generation := s.Inventory().Generation
	d.Dispatched = engine.Dispatch(allowed, Ledger(s), generation, g.Policy, g.Now)
	d.Stuck = engine.StuckNeeds(d.Plan, Ledger(s), generation, g.Policy)
	if ends := engine.HoldEnds(held, situation, g.Safeguards); !ends.IsZero() && (d.Wake.IsZero() || ends.Before(d.Wake)) {
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
