package search

import (
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// inventory makes one that asks for the given nodes. Its quorum is none, which
// holds nothing and so allows more.
func inventory(strict bool, nodes ...fleet.NodeID) *fleet.Inventory {
	inv := &fleet.Inventory{TrustDomain: "fleet.test", RequireSig: strict}
	region := fleet.Region{Name: "r"}
	for _, id := range nodes {
		region.Nodes = append(region.Nodes, fleet.Node{ID: id, Attestor: fleet.AttestorNodePlugin})
	}
	inv.Regions = []fleet.Region{region}
	return inv
}

// Worlds are the small fleets to search, each at a moment from which every
// promise is few steps away.
func Worlds() []*Model {
	return []*Model{
		begin("lose", "two nodes can sign, the inventory is strict and stays so", 3, 2,
			inventory(true, "a", "b")).
			signing(0).signing(1),
		begin("flip", "two nodes can sign, the inventory has just become strict", 2, 2,
			inventory(true, "a", "b"), inventory(false, "a", "b"), inventory(true, "b")).
			signing(0).signing(1),
		begin("relax", "a strict fleet of one node, the inventory has just become permissive", 2, 2,
			inventory(false, "a"), inventory(true, "a")).
			signing(0).enforced(),
		begin("replace", "a signs and goes, b is there without a credential and stays", 1, 1,
			inventory(true, "b"), inventory(true, "a", "b")).
			signing(0).present(1),
		begin("grow", "a strict fleet of a, and b is new", 1, 1,
			inventory(true, "a", "b"), inventory(false, "a")).
			signing(0).enforced(),
		begin("first", "nothing is there yet but an inventory of one node", 1, 1,
			inventory(true, "a"), inventory(false)),
		begin("pause", "a signs, the inventory has just become strict, and people pause and resume", 2, 1,
			inventory(true, "a")).
			pausable(everything, only("a")).signing(0),
		begin("blind", "two nodes sign, the inventory has just become strict, and who loses both is blind", 3, 1,
			inventory(true, "a", "b")).
			blindAt(2).signing(0).signing(1),
		begin("quorum", "a goes and b stays, and nothing is removed unless b signs", 2, 1,
			quorum(1, inventory(false, "b"))).
			pausable(only("a")).signing(1).present(0),
		begin("approve", "a goes and b stays, each removal needs a person, and who loses b is blind", 3, 1,
			inventory(false, "b"), inventory(true, "b")).
			approving().blindAt(1).signing(1).present(0),
	}
}

func quorum(width int, inv *fleet.Inventory) *fleet.Inventory {
	inv.QuorumWidth = width
	return inv
}

// pausable lets people pause and resume.
func (m *Model) pausable(targets ...fleet.Target) *Model {
	m.Pausable = targets
	return m
}

// blindAt takes so few lost nodes for blindness, for two are all there are.
func (m *Model) blindAt(lost int) *Model {
	m.Safeguards.BlindMin = lost
	return m
}

// approving allows no removal without an approval.
func (m *Model) approving() *Model {
	m.Approvals, m.Safeguards.RemovalMin = true, 0
	return m
}

// begin is a world whose first inventory is in force.
func begin(name, about string, changes, faults uint8, inventories ...*fleet.Inventory) *Model {
	m := &Model{
		Name: name, About: about, Inventories: inventories, Changes: changes, Faults: faults,
		Safeguards: engine.DefaultSafeguards(),
	}
	m.begin = state{log: &prefix{}, changes: changes, faults: faults}
	return m.with(inventoryApplied(0, 1))
}

func (m *Model) with(list ...*events.Event) *Model {
	for _, e := range list {
		m.begin.log = m.begin.log.then(e)
	}
	return m
}

// present lets a node appear, as its agent and a sensor would.
func (m *Model) present(i int) *Model {
	m.begin.nodes[i] = node{alive: true, session: 1, key: 1}
	return m.sensed(i)
}

func (m *Model) sensed(i int) *Model {
	for _, e := range sense(ids[i], &m.facts(m.begin.log).nodes[i], m.begin.nodes[i]) {
		m.with(e.event)
	}
	return m
}

// signing lets a node appear and prove a credential.
func (m *Model) signing(i int) *Model {
	m.present(i)
	serial := uint8(m.begin.log.seq + 1)
	m.with(issued(ids[i], &m.facts(m.begin.log).nodes[i], m.begin.nodes[i], serial))
	m.begin.nodes[i].serial = serial
	return m.sensed(i)
}

// enforced makes the fleet strict, as an action long forgotten did.
func (m *Model) enforced() *Model {
	return m.with(fact(events.TypeEnforcementEnabled, "", &events.EnforcementEnabled{Generation: 1, Action: "enable-strict-before"}))
}
