package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// fullSizes are the fleets that engine/full decides on. Beyond the first, at
// most 60 ns a node are allowed.
var fullSizes = []int{10, 100, 1_000, 10_000, 100_000, 1_000_000}

func engineBenchmarks() []Benchmark {
	full := Benchmark{run: runEngineFull}
	for _, n := range fullSizes {
		bound := atMost(60*float64(n), 25*float64(n))
		if n == 10 {
			bound = atMost(300, 150)
		}
		full.Rows = append(full.Rows, Row{
			Name: fmt.Sprint("engine/full/", n), Unit: "ns", Bound: bound,
			Help: fmt.Sprintf("one decision on a converged fleet of %d nodes whose observed order is another than the inventory's", n),
		})
	}
	return []Benchmark{full}
}

func runEngineFull(ctx context.Context, r *run) error {
	for _, n := range fullSizes {
		name := fmt.Sprint("engine/full/", n)
		if !r.wants(name) {
			continue
		}
		inventory, observed := converged(n)
		var reconciler engine.Reconciler
		best, calls, err := r.fastest(ctx, func() error {
			if plan := reconciler.Reconcile(inventory, observed); !plan.Empty() {
				return fmt.Errorf("a converged fleet needs %d actions", len(plan.Actions))
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.add(name, best, calls)
	}
	return nil
}

// converged is a strict fleet of ten regions, all of whose nodes are present and
// sign, observed in an order that has nothing to do with the inventory's.
func converged(n int) (*fleet.Inventory, *fleet.ObservedState) {
	inventory := &fleet.Inventory{RequireSig: true, Regions: make([]fleet.Region, 10)}
	observed := &fleet.ObservedState{StrictEnforced: true, Nodes: make([]fleet.ObservedNode, n)}
	for i := range inventory.Regions {
		inventory.Regions[i].Name = fmt.Sprint("region-", i)
	}
	step := coprime(n)
	for i := range n {
		region := &inventory.Regions[i*10/n]
		region.Nodes = append(region.Nodes, fleet.Node{ID: nodeID(i)})
		observed.Nodes[i*step%n] = fleet.ObservedNode{ID: nodeID(i), Present: true, CanSign: true}
	}
	return inventory, observed
}

func nodeID(i int) fleet.NodeID { return fleet.NodeID(fmt.Sprintf("rack-%d/node-%d", i%97, i)) }

// coprime gives a step that visits each of n places once, far from the last.
func coprime(n int) int {
	for step := n*618/1000 + 1; ; step++ {
		if gcd(step, n) == 1 {
			return step
		}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// fastest calls fn again and again, in five rounds, and returns the nanoseconds
// of one call in the fastest of them: what is slower was disturbed by others.
func (r *run) fastest(ctx context.Context, fn func() error) (ns float64, calls int, err error) {
	if err := fn(); err != nil { // warms up, and allocates what is kept
		return 0, 0, err
	}
	length := time.Duration(r.pick(300, 60, 1)) * time.Millisecond
	var rounds []float64
	for range 5 {
		n, took, err := repeat(ctx, length, fn)
		if err != nil {
			return 0, 0, err
		}
		calls += n
		rounds = append(rounds, float64(took.Nanoseconds())/float64(n))
	}
	return slices.Min(rounds), calls, nil
}

// repeat calls fn for about that long, and looks at the clock as rarely as it can.
func repeat(ctx context.Context, length time.Duration, fn func() error) (calls int, took time.Duration, err error) {
	began := time.Now()
	for batch := 1; ; batch *= 2 {
		for range batch {
			if err := fn(); err != nil {
				return calls, took, err
			}
		}
		calls += batch
		if took = time.Since(began); took >= length || ctx.Err() != nil {
			return calls, took, ctx.Err()
		}
		if left := int(float64(calls) * float64(length-took) / float64(took)); batch > left {
			batch = max(left/2, 1)
		}
	}
}
