package planner

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// mayDecide says why this planner decides nothing, where the partition in force
// leaves it no part of the fleet. It senses all the same: facts are no decisions.
func (p *Planner) mayDecide() (why error) {
	p.View.Read(func(st *projection.State) {
		in := st.Partition()
		switch {
		case in.Knows(p.Shard):
		case in.None():
			why = fmt.Errorf("the fleet is one, and this planner is of shard %q: apply a partition that names it, or start it without --shard", p.Shard)
		case p.Shard == "":
			why = fmt.Errorf("the fleet is divided since sequence %d, and this planner is of no shard: start it with --shard and one of %s", in.Sequence, strings.Join(in.Names(), ", "))
		default:
			why = fmt.Errorf("the partition since sequence %d has no shard %q, only %s", in.Sequence, p.Shard, strings.Join(in.Names(), ", "))
		}
	})
	return why
}

// safeguardsOn are those to decide by: its own where this planner has the rest of
// the fleet or all of it, else those of the newest plan of the rest. Executors hold
// what is in flight by these, and planners that were started with different
// thresholds would publish and be refused in turns.
func (p *Planner) safeguardsOn(st *projection.State) engine.Safeguards {
	if p.Shard == st.Partition().Rest {
		own := p.Safeguards
		own.LostWait = p.pacer.lostWait(own.LostWait)
		return own
	}
	return decide.Safeguards(st)
}
