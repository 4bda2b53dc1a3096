package planner

import (
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// desired is the index of an inventory: that of the one it was asked for last is
// kept. Proofs come by the thousand and decisions with each of them, and an
// inventory finds a node by looking at each.
func (p *Planner) desired(inv *fleet.Inventory) *decide.Desired {
	if p.indexed == nil || p.indexed.Inventory != inv {
		p.indexed = decide.NewDesired(inv)
	}
	return p.indexed
}
