package status

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// situation is what a plan of this fold is held against, by a warm planner.
func situation(st *projection.State, inv *fleet.Inventory, now time.Time) engine.Situation {
	return engine.Situation{Desired: inv, Observed: st.Observed(), Facts: st, Settled: true, Now: now}
}

// held is what of the plan planners do not publish now. What is in flight is
// told elsewhere.
func held(st *projection.State, inv *fleet.Inventory, plan fleet.Plan, now time.Time) []fleet.Held {
	allowed, held := engine.Hold(plan, situation(st, inv, now), decide.Safeguards(st))
	dispatched := engine.Dispatch(allowed, decide.Ledger(st), st.Inventory().Generation, decide.Policy(st), now)
	for _, h := range dispatched.Held {
		if h.Reason != engine.ReasonInFlight {
			held = append(held, h)
		}
	}
	return held
}

// Approval is a set of decommissions that waits for a person.
type Approval struct {
	ID fleet.ApprovalID
	// Nodes that would be removed, in plan order.
	Nodes []fleet.NodeID
	// Basis is the sequence at which they are what the plan asks for.
	Basis uint64
}

// Waiting is what of the plan waits for an approval on this fold; false if
// nothing does.
func Waiting(st *projection.State, inv *fleet.Inventory, now time.Time) (Approval, bool) {
	if inv == nil {
		return Approval{}, false
	}
	plan := engine.Reconcile(inv, st.Observed())
	id, waits := engine.NeedsApproval(plan, situation(st, inv, now), decide.Safeguards(st))
	if !waits {
		return Approval{}, false
	}
	a := Approval{ID: id, Basis: st.Sequence()}
	for _, action := range plan.Actions {
		if action.Type == fleet.DecommissionNode {
			a.Nodes = append(a.Nodes, action.ID)
		}
	}
	return a, true
}
