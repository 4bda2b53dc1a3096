package decide

import (
	"fmt"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/engine"
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

// What a planner decides after each fact, in a converged fleet: one node is lost,
// and the next fact is that it is back. "all" looks at everybody.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		state, desired := converged(b, n)
		given := Given{Settled: true, Now: noon, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy()}
		changes := changes{state: state, desired: desired}
		b.Run(fmt.Sprintf("changed/%d", n), func(b *testing.B) {
			var x Incremental
			x.Plan(state, desired, given)
			b.ReportAllocs()
			for b.Loop() {
				changes.next(b)
				x.Plan(state, desired, given)
			}
		})
		b.Run(fmt.Sprintf("all/%d", n), func(b *testing.B) {
			for b.Loop() {
				changes.next(b)
				Plan(state, desired.Inventory, given)
			}
		})
	}
}

// converged is a fold and the inventory that it has come to: all present and signing.
func converged(tb testing.TB, n int) (*projection.State, *Desired) {
	state, inv := projection.New(), &fleet.Inventory{QuorumWidth: 1, Regions: make([]fleet.Region, 10)}
	for i := range n {
		id := fleet.NodeID(fmt.Sprintf("node-%07d", i))
		region := &inv.Regions[i*10/n]
		region.Name = fmt.Sprint("region-", i*10/n)
		region.Nodes = append(region.Nodes, fleet.Node{ID: id})
		for _, e := range []*events.Event{
			{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: "k"}},
			{Type: events.TypeCredentialIssued, Node: id, Data: &events.CredentialIssued{Epoch: 1, Serial: "s", Nonce: "n", KeyFingerprint: "k"}},
			{Type: events.TypeCredentialProved, Node: id, Data: &events.CredentialProved{Epoch: 1, Serial: "s", Nonce: "n"}},
		} {
			if _, err := state.Apply(state.Sequence()+1, noon, e); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return state, NewDesired(inv)
}

// changes has one node after the other lost and come back.
type changes struct {
	state   *projection.State
	desired *Desired
	turn    int
}

func (c *changes) next(tb testing.TB) {
	id := c.desired.index.Node(c.turn / 2 * 7919 % c.desired.index.Len()).ID
	e := &events.Event{Type: events.TypeNodeLost, Node: id, Data: &events.NodeLost{Epoch: 1}}
	if c.turn%2 == 1 {
		e = &events.Event{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: "k"}}
	}
	c.turn++
	if change, err := c.state.Apply(c.state.Sequence()+1, noon, e); err != nil || change.Empty() {
		tb.Fatal(change, err)
	}
}
