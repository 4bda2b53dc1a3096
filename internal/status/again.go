package status

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Again looks at a fold again and again while its log grows, at a cost that
// follows what has changed and what the plan holds, and not how many nodes there
// are. The zero value is ready, for one log and one caller at a time.
type Again struct {
	desired *decide.Desired
	decider decide.Incremental
}

// Brief is Of without what takes a look at every node: Observed.Nodes, Rotations
// and BlockedBy are empty. Nobody may change its plan.
func (a *Again) Brief(st *projection.State, inv *fleet.Inventory, now time.Time) Status {
	s := blank(st)
	if inv != nil {
		decided := a.decide(st, inv, now)
		s.Plan.Actions = append(s.Plan.Actions, decided.Plan.Actions...)
		for _, h := range decided.Held {
			if h.Reason != engine.ReasonInFlight {
				s.Held = append(s.Held, h)
			}
		}
		s.Stuck = append(s.Stuck, decided.Stuck...)
		s.Converged = settled(st, decided.Plan)
	}
	s.plain()
	return s
}

// Converged is the function Converged.
func (a *Again) Converged(st *projection.State, inv *fleet.Inventory) bool {
	return inv != nil && st.Ledger().Outstanding() == 0 && a.decide(st, inv, time.Time{}).Plan.Empty()
}

func (a *Again) decide(st *projection.State, inv *fleet.Inventory, now time.Time) decide.Decided {
	if a.desired == nil || a.desired.Inventory != inv {
		a.desired = decide.NewDesired(inv)
	}
	return a.decider.Plan(st, a.desired, warm(st, now))
}

// warm is what a planner decides by that has seen everybody.
func warm(st *projection.State, now time.Time) decide.Given {
	return decide.Given{Settled: true, Now: now, Safeguards: decide.Safeguards(st), Policy: decide.Policy(st)}
}

// settled says that a plan is carried out.
func settled(st *projection.State, plan fleet.Plan) bool {
	return plan.Empty() && st.Ledger().Outstanding() == 0
}
