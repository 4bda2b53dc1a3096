package decide

import (
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Incremental decides as Plan does, again and again while a log grows, at a cost
// that follows what has changed and what the plan holds. It looks at the whole
// fleet only when it sees an inventory or a State for the first time, or has
// fallen too far behind. It keeps about twenty bytes for each desired node.
//
// The zero value is ready, for one log and one caller at a time.
type Incremental struct {
	state    *projection.State
	sequence uint64 // up to which the state was looked at
	desired  *Desired
	engine   *engine.Incremental
}

// Plan is the function Plan. Nobody may change the plan in what it returns.
func (x *Incremental) Plan(s *projection.State, d *Desired, g Given) Decided {
	x.follow(s, d)
	return conclude(s, g, situation(s, g), x.engine, func() *Desired { return d })
}

// follow has the engine observe what has changed.
func (x *Incremental) follow(s *projection.State, d *Desired) {
	changed, known := s.ChangedSince(x.sequence)
	if x.desired != d || x.state != s || !known {
		x.begin(s, d)
	} else {
		for id := range changed {
			if n, observed := s.Standing(id); observed {
				x.observe(n)
			} else {
				x.engine.Forget(id)
			}
		}
	}
	x.engine.Enforced(s.StrictEnforced())
	x.sequence = s.Sequence()
}

// begin looks at everybody.
func (x *Incremental) begin(s *projection.State, d *Desired) {
	x.state, x.desired, x.engine = s, d, engine.NewIncremental(d.index)
	for n := range s.Standings() {
		x.observe(n)
	}
}

func (x *Incremental) observe(n projection.Standing) {
	x.engine.Observe(engine.Observation{ObservedNode: n.ObservedNode, Order: n.Began, Lost: n.Lost})
}
