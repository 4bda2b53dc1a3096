package status

import (
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func stuck(st *projection.State, plan fleet.Plan) []engine.Stuck {
	return engine.StuckNeeds(plan, decide.Ledger(st), st.Inventory().Generation, decide.Policy(st))
}

// stuckNodes is what is stuck by node; a node has one need in a plan.
func stuckNodes(st *projection.State, inv *fleet.Inventory) map[fleet.NodeID]*engine.Stuck {
	if inv == nil {
		return nil
	}
	byNode := make(map[fleet.NodeID]*engine.Stuck)
	for _, s := range stuck(st, engine.Reconcile(inv, st.Observed())) {
		byNode[s.ID] = &s
	}
	return byNode
}
