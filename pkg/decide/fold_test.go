package decide

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// site is a fold in the making, with the inventory that is in force on it.
type site struct {
	*rapid.T
	state   *projection.State
	desired *Desired
	ids     []fleet.NodeID
}

func (s *site) apply(kind events.Type, id fleet.NodeID, data events.Payload) {
	s.Helper()
	e := &events.Event{Type: kind, Node: id, Source: "test", Data: data}
	if _, err := s.state.Apply(s.state.Sequence()+1, noon, e); err != nil {
		s.Fatal(err)
	}
}

// draw folds a random log: nodes that came, sign, were lost or left, pauses, an
// approval, and the safeguards of a plan.
func draw(t *rapid.T) *site {
	s := &site{T: t, state: projection.New()}
	inv := &fleet.Inventory{
		Regions: []fleet.Region{{Name: "r"}, {Name: "s"}}, RequireSig: rapid.Bool().Draw(t, "strict"),
		QuorumWidth: rapid.IntRange(0, 2).Draw(t, "quorum"),
	}
	s.apply(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: "d", Generation: 1})
	for i := range rapid.IntRange(0, 9).Draw(t, "nodes") {
		id := fleet.NodeID(fmt.Sprint("n", i))
		s.ids = append(s.ids, id)
		if rapid.Bool().Draw(t, "desired") {
			region := &inv.Regions[rapid.IntRange(0, 1).Draw(t, "region")]
			region.Nodes = append(region.Nodes, fleet.Node{ID: id})
		}
		s.node(id)
	}
	if rapid.Bool().Draw(t, "approved") {
		s.apply(events.TypePlanApproved, "", &events.PlanApproved{Approval: "x", Basis: s.state.Sequence()})
	}
	if rapid.Bool().Draw(t, "and a latecomer") {
		s.ids = append(s.ids, "late")
		s.node("late")
	}
	for _, target := range []fleet.Target{{Scope: fleet.ScopeFleet}, {Scope: fleet.ScopeRegion, Region: "r"}, {Scope: fleet.ScopeNode, ID: "n1"}} {
		if rapid.IntRange(0, 4).Draw(t, "paused") == 0 {
			s.apply(events.TypeControlPaused, target.ID, &events.ControlPaused{Target: target, Actor: "kim"})
		}
	}
	s.apply(events.TypePlanDecided, "", &events.PlanDecided{Plan: "p", Safeguards: events.HoldSafeguards{
		RemovalMin: rapid.IntRange(0, 5).Draw(t, "removal_min"), RemovalFraction: rapid.Float64Range(0, 1).Draw(t, "removal_fraction"),
		BlindFraction: 0.55, BlindMin: rapid.IntRange(1, 3).Draw(t, "blind_min"), LostWaitSeconds: 5,
		FlapThreshold: 3, FlapHalfLifeSeconds: 600,
	}})
	s.desired = NewDesired(inv)
	return s
}

func (s *site) node(id fleet.NodeID) {
	if !rapid.Bool().Draw(s.T, "observed") {
		return
	}
	s.apply(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, KeyFingerprint: "k"})
	if rapid.Bool().Draw(s.T, "signs") {
		s.apply(events.TypeCredentialIssued, id, &events.CredentialIssued{Epoch: 1, Serial: "s", Nonce: "n", KeyFingerprint: "k"})
		s.apply(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: 1, Serial: "s", Nonce: "n"})
	}
	switch rapid.SampledFrom([]string{"stays", "stays", "lost", "left"}).Draw(s.T, "then") {
	case "lost":
		s.apply(events.TypeNodeLost, id, &events.NodeLost{Epoch: 1, Reason: "lease_expired"})
	case "left":
		s.apply(events.TypeNodeLeft, id, &events.NodeLeft{Epoch: 1})
	}
}

func (s *site) plan() fleet.Plan { return engine.Reconcile(s.desired.Inventory, s.state.Observed()) }
