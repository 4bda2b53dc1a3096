package decide

import (
	"fmt"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// A planner's whole decision in a fleet of 10,000 of which one node was lost.
func BenchmarkPlan(b *testing.B) {
	state, inv := projection.New(), &fleet.Inventory{QuorumWidth: 1, Regions: []fleet.Region{{Name: "r"}}}
	apply := func(kind events.Type, id fleet.NodeID, data events.Payload) {
		if _, err := state.Apply(state.Sequence()+1, noon, &events.Event{Type: kind, Node: id, Data: data}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 10_000 {
		id := fleet.NodeID(fmt.Sprint("node-", i))
		inv.Regions[0].Nodes = append(inv.Regions[0].Nodes, fleet.Node{ID: id})
		apply(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, KeyFingerprint: "k"})
		apply(events.TypeCredentialIssued, id, &events.CredentialIssued{Epoch: 1, Serial: "s", Nonce: "n", KeyFingerprint: "k"})
		apply(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: 1, Serial: "s", Nonce: "n"})
	}
	apply(events.TypeNodeLost, "node-5000", &events.NodeLost{Epoch: 1})
	given := Given{Settled: true, Now: noon, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy()}
	for b.Loop() {
		Plan(state, inv, given)
	}
}
