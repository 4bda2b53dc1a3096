package search

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// checkPublish looks at what a planner would publish on a fold.
func (m *Model) checkPublish(f *facts, steps []engine.Step) string {
	for _, s := range steps {
		if why := m.stopped(f, s.Type, s.ID); why != "" {
			q := &events.ActionRequested{Type: s.Type, ID: s.ID}
			return fmt.Sprintf("held: %s is published, and on the same fold %s", need(q), why)
		}
	}
	return ""
}

// stopped says which safeguard stops an action on a fold; empty for none. It
// does not ask the engine: it is what engine.Hold is checked against. All nodes
// of the worlds are in one region.
func (m *Model) stopped(f *facts, t fleet.ActionType, id fleet.NodeID) string {
	switch {
	case t == fleet.DisableStrictEnforcement || f.inventory == nil:
		return ""
	case f.paused:
		return "the fleet is paused"
	case id != "" && f.node(id).paused:
		return "the node is paused"
	}
	c := count(f)
	blind := c.lost >= m.Safeguards.BlindMin && float64(c.lost) > m.Safeguards.BlindFraction*float64(c.desired)
	switch {
	case blind && (t == fleet.DecommissionNode || t == fleet.EnableStrictEnforcement || t == fleet.EnrollNode && f.node(id).Lost):
		return fmt.Sprintf("%d of %d desired nodes are lost", c.lost, c.desired)
	case t != fleet.DecommissionNode:
		return ""
	case c.signing < f.inventory.QuorumWidth:
		return fmt.Sprintf("%d desired nodes sign", c.signing)
	case c.unapproved && (c.ghosts == c.observed || c.ghosts > m.Safeguards.RemovalMin):
		return fmt.Sprintf("the removal of %d of %d nodes is not approved", c.ghosts, c.observed)
	}
	return ""
}

// census counts desired and observed nodes, and ghosts: those that are observed
// and not desired. A fraction of so small a fleet is less than one node.
type census struct {
	desired, lost, signing, observed, ghosts int
	unapproved                               bool // one of the ghosts is
}

func count(f *facts) (c census) {
	for i, id := range ids {
		n := &f.nodes[i]
		desired := f.inventory.Find(id) != nil
		if n.known {
			c.observed++
		}
		switch {
		case !desired && n.known:
			c.ghosts++
			c.unapproved = c.unapproved || !n.approved
		case desired:
			c.desired++
			if n.known && n.Lost {
				c.lost++
			}
			if n.known && n.Present && n.Proved != nil {
				c.signing++
			}
		}
	}
	return c
}
