package executor

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// The kit shows the rule one node only. That must never change the answer.
func TestDecidingOnOneNodeIsDecidingOnAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &catalog{inventory: &fleet.Inventory{Regions: []fleet.Region{{}, {}}}, nodes: map[fleet.NodeID]*fleet.Node{}}
		s := projection.New()
		apply := func(kind events.Type, id fleet.NodeID, data events.Payload) {
			e := &events.Event{Type: kind, Node: id, Source: "test", Data: data}
			if _, err := s.Apply(s.Sequence()+1, time.Unix(0, 0), e); err != nil {
				t.Fatal(err)
			}
		}
		var ids []fleet.NodeID
		for i := range rapid.IntRange(0, 6).Draw(t, "nodes") {
			id := fleet.NodeID(fmt.Sprint("n", i))
			ids = append(ids, id)
			if rapid.Bool().Draw(t, "desired") {
				region := &c.inventory.Regions[rapid.IntRange(0, 1).Draw(t, "region")]
				region.Nodes = append(region.Nodes, fleet.Node{ID: id})
			}
			if rapid.Bool().Draw(t, "observed") {
				apply(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, KeyFingerprint: "k"})
				if rapid.Bool().Draw(t, "signs") {
					apply(events.TypeCredentialIssued, id, &events.CredentialIssued{Epoch: 1, Serial: "s", Nonce: "n", KeyFingerprint: "k"})
					apply(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: 1, Serial: "s", Nonce: "n"})
				}
				if rapid.Bool().Draw(t, "lost") {
					apply(events.TypeNodeLost, id, &events.NodeLost{Epoch: 1, Reason: "lease_expired"})
				}
			}
		}
		for node := range c.inventory.Nodes() {
			c.nodes[node.ID] = node
		}
		plan := engine.Reconcile(c.inventory, s.Observed())
		for _, id := range ids {
			for _, kind := range []fleet.ActionType{fleet.EnrollNode, fleet.IssueCredential, fleet.DecommissionNode} {
				a := fleet.Action{Type: kind, ID: id}
				if got := wanted(s, c, a); got != plan.Has(a) {
					t.Fatalf("%v: decided %v alone, %v among all: %+v", a, got, plan.Has(a), *s.Observed())
				}
			}
		}
	})
}
