package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// drawFleet draws a desired and an observed state over a few ids that collide
// often. Unless repeats are allowed, no id stands twice on a side.
func drawFleet(t *rapid.T, repeats bool) (*fleet.Inventory, *fleet.ObservedState) {
	ids := func(label string) []fleet.NodeID {
		one := rapid.Map(rapid.IntRange(0, 12), func(n int) fleet.NodeID { return fleet.NodeID(fmt.Sprintf("n/%d", n)) })
		if repeats {
			return rapid.SliceOfN(one, 0, 12).Draw(t, label)
		}
		return rapid.SliceOfNDistinct(one, 0, 12, rapid.ID).Draw(t, label)
	}
	desired := &fleet.Inventory{RequireSig: rapid.Bool().Draw(t, "require_sig")}
	for _, id := range ids("desired") {
		if len(desired.Regions) == 0 || rapid.IntRange(0, 3).Draw(t, "new region") == 0 {
			desired.Regions = append(desired.Regions, fleet.Region{Name: "r"})
		}
		last := &desired.Regions[len(desired.Regions)-1]
		last.Nodes = append(last.Nodes, fleet.Node{ID: id})
	}
	observed := &fleet.ObservedState{StrictEnforced: rapid.Bool().Draw(t, "strict")}
	often := rapid.Map(rapid.IntRange(0, 4), func(n int) bool { return n > 0 })
	for _, id := range ids("observed") {
		observed.Nodes = append(observed.Nodes, fleet.ObservedNode{
			ID: id, Present: often.Draw(t, "present"), CanSign: often.Draw(t, "can_sign"),
		})
	}
	return desired, observed
}

// oracle is the rule told a second time, one quadratic scan a phase, sharing
// nothing with the engine.
func oracle(desired *fleet.Inventory, observed *fleet.ObservedState) []fleet.Action {
	at := func(id fleet.NodeID) int {
		return slices.IndexFunc(observed.Nodes, func(n fleet.ObservedNode) bool { return n.ID == id })
	}
	var actions []fleet.Action
	ready := true
	for node := range desired.Nodes() {
		if i := at(node.ID); i < 0 || !observed.Nodes[i].Present {
			actions = append(actions, fleet.Action{Type: fleet.EnrollNode, ID: node.ID})
			ready = false
		}
	}
	for node := range desired.Nodes() {
		if i := at(node.ID); i >= 0 && observed.Nodes[i].Present && !observed.Nodes[i].CanSign {
			actions = append(actions, fleet.Action{Type: fleet.IssueCredential, ID: node.ID})
			ready = false
		}
	}
	for _, node := range observed.Nodes {
		if desired.Find(node.ID) == nil {
			actions = append(actions, fleet.Action{Type: fleet.DecommissionNode, ID: node.ID})
		}
	}
	if observed.StrictEnforced && !desired.RequireSig {
		actions = append(actions, fleet.Action{Type: fleet.DisableStrictEnforcement})
	}
	if !observed.StrictEnforced && desired.RequireSig && ready {
		actions = append(actions, fleet.Action{Type: fleet.EnableStrictEnforcement})
	}
	return actions
}

// carryOut returns the fleet after every action of the plan has succeeded.
func carryOut(plan fleet.Plan, observed *fleet.ObservedState) *fleet.ObservedState {
	after := &fleet.ObservedState{Nodes: slices.Clone(observed.Nodes), StrictEnforced: observed.StrictEnforced}
	for _, a := range plan.Actions {
		is := func(n fleet.ObservedNode) bool { return n.ID == a.ID }
		switch a.Type {
		case fleet.EnrollNode, fleet.IssueCredential:
			fine := fleet.ObservedNode{ID: a.ID, Present: true, CanSign: true}
			if i := slices.IndexFunc(after.Nodes, is); i >= 0 {
				after.Nodes[i] = fine
			} else {
				after.Nodes = append(after.Nodes, fine)
			}
		case fleet.DecommissionNode:
			after.Nodes = slices.DeleteFunc(after.Nodes, is)
		case fleet.DisableStrictEnforcement:
			after.StrictEnforced = false
		case fleet.EnableStrictEnforcement:
			after.StrictEnforced = true
		}
	}
	return after
}

func TestReconcileEqualsOracle(t *testing.T) {
	var kept engine.Reconciler // whose scratch memory has seen every earlier fleet
	rapid.Check(t, func(t *rapid.T) {
		desired, observed := drawFleet(t, rapid.Bool().Draw(t, "repeats"))
		want := fleet.Plan{Actions: oracle(desired, observed)}
		if diff := cmp.Diff(want, engine.Reconcile(desired, observed)); diff != "" {
			t.Fatalf("Reconcile (-oracle +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, kept.Reconcile(desired, observed)); diff != "" {
			t.Fatalf("Reconciler (-oracle +got):\n%s", diff)
		}
	})
}

func TestReconcileSameInputsSameBytesAndUntouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired, observed := drawFleet(t, false)
		before := mustJSON(t, []any{desired, observed})
		first := mustJSON(t, engine.Reconcile(desired, observed))
		engine.Blocking(desired, observed)
		if second := mustJSON(t, engine.Reconcile(desired, observed)); second != first {
			t.Fatalf("decided again: %s, at first %s", second, first)
		}
		if after := mustJSON(t, []any{desired, observed}); after != before {
			t.Fatalf("inputs were changed from %s to %s", before, after)
		}
	})
}

func TestPlansKeepTheApplyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired, observed := drawFleet(t, false)
		phase, nodes := fleet.Phase(1), map[fleet.NodeID]bool{}
		plan := engine.Reconcile(desired, observed)
		for i, a := range plan.Actions {
			if a.Type.Phase() < phase {
				t.Fatalf("action %d goes back to phase %d: %v", i, a.Type.Phase(), plan.Actions)
			}
			phase = a.Type.Phase()
			if nodes[a.ID] {
				t.Fatalf("two actions for %q: %v", a.ID, plan.Actions)
			}
			nodes[a.ID] = true
			if a.Type == fleet.EnableStrictEnforcement && i != len(plan.Actions)-1 {
				t.Fatalf("enabling is not last: %v", plan.Actions)
			}
		}
	})
}

// TestNeverStrictTooEarly is the promise the project exists for.
func TestNeverStrictTooEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired, observed := drawFleet(t, false)
		fine := map[fleet.NodeID]bool{}
		for _, n := range observed.Nodes {
			fine[n.ID] = n.Present && n.CanSign
		}
		var bad []fleet.NodeID
		for n := range desired.Nodes() {
			if !fine[n.ID] {
				bad = append(bad, n.ID)
			}
		}
		wanted := desired.RequireSig && !observed.StrictEnforced
		enables := engine.Reconcile(desired, observed).Has(fleet.Action{Type: fleet.EnableStrictEnforcement})
		if want := wanted && len(bad) == 0; enables != want {
			t.Fatalf("enables: %v, want %v; not fine: %v", enables, want, bad)
		}
		var blockers []fleet.NodeID
		for _, b := range engine.Blocking(desired, observed) {
			blockers = append(blockers, b.ID)
		}
		if !wanted {
			bad = nil
		}
		if diff := cmp.Diff(bad, blockers); diff != "" {
			t.Fatalf("Blocking (-want +got):\n%s", diff)
		}
	})
}

func TestCarryingOutReachesTheEmptyPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired, observed := drawFleet(t, false)
		observed = carryOut(engine.Reconcile(desired, observed), observed)
		second := engine.Reconcile(desired, observed)
		flip := []fleet.Action{{Type: fleet.EnableStrictEnforcement}}
		if !second.Empty() && !slices.Equal(second.Actions, flip) {
			t.Fatalf("second plan: %v, want none or only the flip", second.Actions)
		}
		observed = carryOut(second, observed)
		if third := engine.Reconcile(desired, observed); !third.Empty() {
			t.Fatalf("third plan: %v, want none", third.Actions)
		}
	})
}

func mustJSON(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
