package projection

import "github.com/fleetfold/fleetfold/pkg/fleet"

// phases counts the actions in flight of each plan by their phase, so that
// nobody has to look at all flights to know what still stands before a phase.
type phases map[fleet.PlanID]*[len(fleet.ActionTypes) + 1]int

func (p phases) add(f *Flight, n int) {
	count := p[f.Plan]
	if count == nil {
		count = new([len(fleet.ActionTypes) + 1]int)
		p[f.Plan] = count
	}
	count[f.Action.Type.Phase()] += n
	if *count == ([len(fleet.ActionTypes) + 1]int{}) {
		delete(p, f.Plan)
	}
}

// EarliestPhase is the first phase of which a plan has an action in flight;
// false where it has none at all.
func (l *Ledger) EarliestPhase(plan fleet.PlanID) (fleet.Phase, bool) {
	count := l.phases[plan]
	if count == nil {
		return 0, false
	}
	for phase, n := range count {
		if n > 0 {
			return fleet.Phase(phase), true
		}
	}
	return 0, false
}
