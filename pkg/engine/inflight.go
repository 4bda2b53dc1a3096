package engine

import "github.com/fleetfold/fleetfold/pkg/fleet"

// HoldsInFlight says whether a reason of Hold also stops an action that is
// published and not begun. Those do that follow from the fold, the inventory and
// the safeguards alone: whoever asks on the same log gets the same answer, and
// the planner that would publish the next attempt is among them.
//
// The others depend on who asks and when. Only a planner has seen the nodes and
// knows whether it has settled, and time ends ReasonJustLost and ReasonFlapping:
// two clocks that disagree could publish and refuse the same need in turns. They
// say when to begin something, and the planner has said it.
func HoldsInFlight(reason fleet.Reason) bool {
	switch reason {
	case ReasonPaused, ReasonBlindFleet, ReasonBlindRegion, ReasonQuorum, ReasonRemovalBudget:
		return true
	}
	return false
}
