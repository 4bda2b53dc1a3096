package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// convergedFleet is a strict fleet of n nodes in ten regions, all fine.
func convergedFleet(n int) (*fleet.Inventory, *fleet.ObservedState) {
	desired := &fleet.Inventory{RequireSig: true, Regions: make([]fleet.Region, 10)}
	observed := &fleet.ObservedState{StrictEnforced: true}
	for i := range n {
		region := &desired.Regions[i*10/n]
		region.Nodes = append(region.Nodes, fleet.Node{ID: fleet.NodeID(fmt.Sprintf("region/%d/node-%d", i*10/n, i))})
		// Built again, so that the two sides do not share memory.
		id := fleet.NodeID(fmt.Sprintf("region/%d/node-%d", i*10/n, i))
		observed.Nodes = append(observed.Nodes, fleet.ObservedNode{ID: id, Present: true, CanSign: true})
	}
	return desired, observed
}

func shuffle(observed *fleet.ObservedState) {
	nodes := observed.Nodes
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
}

func TestConvergedFleetAllocatesNothing(t *testing.T) {
	for _, n := range []int{0, 1, 10, 1000} {
		for _, order := range []string{"same", "shuffled"} {
			desired, observed := convergedFleet(n)
			if order == "shuffled" {
				shuffle(observed)
			}
			var r engine.Reconciler
			if got := testing.AllocsPerRun(50, func() {
				if plan := r.Reconcile(desired, observed); !plan.Empty() {
					t.Errorf("plan of a converged fleet: %v", plan.Actions)
				}
			}); got != 0 {
				t.Errorf("%d nodes, %s order: %v allocations, want 0", n, order, got)
			}
		}
	}
}

// BenchmarkReconcile decides on converged fleets: in inventory order, in random
// order, and in a random order that is another each time; and on fleets of which
// nothing is observed yet.
func BenchmarkReconcile(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000, 1_000_000} {
		desired, observed := convergedFleet(n)
		b.Run(fmt.Sprintf("%d/same", n), func(b *testing.B) { benchReconcile(b, n, desired, observed) })
		shuffle(observed)
		b.Run(fmt.Sprintf("%d/shuffled", n), func(b *testing.B) { benchReconcile(b, n, desired, observed) })
		other := &fleet.ObservedState{StrictEnforced: true, Nodes: slices.Clone(observed.Nodes)}
		shuffle(other)
		b.Run(fmt.Sprintf("%d/reshuffled", n), func(b *testing.B) { benchReconcile(b, n, desired, observed, other) })
		b.Run(fmt.Sprintf("%d/empty", n), func(b *testing.B) { benchReconcile(b, n, desired, &fleet.ObservedState{}) })
	}
}

// benchReconcile decides on each observed state in turn.
func benchReconcile(b *testing.B, n int, desired *fleet.Inventory, observed ...*fleet.ObservedState) {
	var r engine.Reconciler
	r.Reconcile(desired, observed[0])
	b.ReportAllocs()
	for i := 1; b.Loop(); i++ {
		r.Reconcile(desired, observed[i%len(observed)])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
}

// BenchmarkIncremental decides again after one node of a converged fleet has
// changed: in turns it is lost, and back.
func BenchmarkIncremental(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, observed := observedBy(n)
			at := rand.New(rand.NewPCG(1, 2))
			changed := 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%2 == 0 {
					changed = at.IntN(n)
				}
				node := observed.Nodes[changed]
				node.Present = i%2 == 1
				x.Observe(engine.Observation{ObservedNode: node, Order: uint64(changed), Lost: i%2 == 0})
				if plan := x.Reconcile(); plan.Empty() != node.Present {
					b.Fatal(plan.Actions)
				}
			}
		})
	}
}

// observedBy has observed a converged fleet.
func observedBy(n int) (*engine.Incremental, *fleet.ObservedState) {
	desired, observed := convergedFleet(n)
	x := engine.NewIncremental(index.NewInventory(desired))
	x.Enforced(true)
	for i, node := range observed.Nodes {
		x.Observe(engine.Observation{ObservedNode: node, Order: uint64(i)})
	}
	return x, observed
}
