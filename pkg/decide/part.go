package decide

import (
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// part is what of a decision on the whole fleet is a shard's own. It is cut out of
// the decision and not decided by itself: census, quorum, pauses and the removal
// budget are those of the whole fleet, or each safeguard would be weaker by the
// number of parts.
type part struct {
	shard   string
	desired *Desired
	owner   func(region string) string
}

func newPart(s *projection.State, d *Desired, shard string) part {
	return part{shard: shard, desired: d, owner: s.Partition().Owners()}
}

// has says whether an action is the shard's. What concerns the fleet, and what the
// inventory does not name, is in no region, and so the rest's.
func (p part) has(a fleet.Action) bool { return p.owner(p.desired.Region(a.ID)) == p.shard }

func (p part) plan(whole fleet.Plan) (own fleet.Plan) {
	for _, a := range whole.Actions {
		if p.has(a) {
			own.Actions = append(own.Actions, a)
		}
	}
	return own
}

func (p part) held(whole []fleet.Held) (own []fleet.Held) {
	for _, h := range whole {
		if p.has(h.Action) {
			own = append(own, h)
		}
	}
	return own
}

// ledger counts as outstanding what the shard itself has published: what is stuck
// in one part must not take the room of the others.
func (p part) ledger(s *projection.State) engine.Ledger {
	return partLedger{ledger{s.Ledger(), s.Inventory().Generation}, p.shard}
}

type partLedger struct {
	ledger
	shard string
}

func (l partLedger) Outstanding() int { return l.OutstandingOf(l.shard) }

// ShardOf is the shard that has a node, or for the empty id the fleet as a whole,
// under the partition and the inventory in force; empty in a fleet that is one.
func ShardOf(s *projection.State, d *Desired, id fleet.NodeID) string {
	return s.Partition().Owners()(d.Region(id))
}
