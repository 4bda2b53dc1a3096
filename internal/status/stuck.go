package status

import (
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// policy is that of the newest plan on the log, as safeguards are.
func policy(st *projection.State) engine.Policy {
	r := st.Policy()
	p := engine.Policy{
		MaxInFlight: r.MaxInFlight, Jitter: r.Jitter, StuckAfter: r.StuckAfter,
		BackoffBase: seconds(r.BackoffBaseSeconds), BackoffCap: seconds(r.BackoffCapSeconds),
	}
	if p.Validate() != nil {
		return engine.DefaultPolicy()
	}
	return p
}

// account is the ledger of a fold as the engine asks it.
type account struct {
	*projection.Ledger
	generation uint64
}

func (a account) Attempts(need engine.Need) engine.Attempts {
	past := a.AttemptsAt(need, a.Epoch(need.ID), a.generation)
	return engine.Attempts{
		Published: past.Published, Failures: past.Failures,
		LastOutcome: past.LastOutcome, LastRefused: past.LastRefused, LastError: past.LastError,
	}
}

func stuck(st *projection.State, plan fleet.Plan) []engine.Stuck {
	generation := st.Inventory().Generation
	return engine.StuckNeeds(plan, account{st.Ledger(), generation}, generation, policy(st))
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
