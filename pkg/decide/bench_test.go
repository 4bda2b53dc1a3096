package decide

import (
	"fmt"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// What an executor asks before it begins, in a fleet of 10,000: each time on a
// fold of its own, as while other actions end.
func BenchmarkHoldsOf(b *testing.B) {
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
	}
	apply(events.TypeNodeAppeared, "ghost", &events.NodeAppeared{Epoch: 1, KeyFingerprint: "k"})
	desired := NewDesired(inv)
	for _, a := range []fleet.Action{{Type: fleet.IssueCredential, ID: "node-0"}, {Type: fleet.DecommissionNode, ID: "ghost"}} {
		b.Run(string(a.Type), func(b *testing.B) {
			var holds Holds
			for b.Loop() {
				apply(events.TypeTrustPublished, "", &events.TrustPublished{})
				holds.Of(state, desired, a)
			}
		})
	}
}
