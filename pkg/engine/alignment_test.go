package engine_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// What a Reconciler remembers of one decision may only be used for the next if it
// is still so: both sides are changed in place, a little or in their ids.
func TestAReconcilerSeesEachChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired, observed := drawFleet(t, rapid.IntRange(0, 4).Draw(t, "repeats") == 0)
		other, _ := drawFleet(t, false)
		var r engine.Reconciler
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				for range 2 {
					got := slices.Clone(r.Reconcile(desired, observed).Actions)
					if diff := cmp.Diff(oracle(desired, observed), got); diff != "" {
						t.Fatalf("(-oracle +got):\n%s", diff)
					}
				}
			},
			"a node": func(t *rapid.T) {
				if n := drawObserved(t, observed); n != nil {
					n.Present, n.CanSign = rapid.Bool().Draw(t, "present"), rapid.Bool().Draw(t, "can_sign")
				}
			},
			"an id": func(t *rapid.T) {
				if n := drawObserved(t, observed); n != nil {
					n.ID = drawID(t)
				}
			},
			"two in turn": func(t *rapid.T) {
				if a, b := drawObserved(t, observed), drawObserved(t, observed); a != nil {
					*a, *b = *b, *a
				}
			},
			"one more": func(t *rapid.T) {
				observed.Nodes = append(observed.Nodes, fleet.ObservedNode{ID: drawID(t)})
			},
			"one less": func(t *rapid.T) { observed.Nodes = observed.Nodes[:len(observed.Nodes)-min(1, len(observed.Nodes))] },
			"a desired id": func(t *rapid.T) {
				for node := range desired.Nodes() {
					if rapid.IntRange(0, 5).Draw(t, "this one") == 0 {
						node.ID = drawID(t)
					}
				}
			},
			"another inventory": func(*rapid.T) { desired, other = other, desired },
		})
	})
}

func drawObserved(t *rapid.T, o *fleet.ObservedState) *fleet.ObservedNode {
	if len(o.Nodes) == 0 {
		return nil
	}
	return &o.Nodes[rapid.IntRange(0, len(o.Nodes)-1).Draw(t, "observed")]
}
