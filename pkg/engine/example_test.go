package engine_test

import (
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// idle is the ledger of a fleet in which nothing was ever tried.
type idle struct{}

func (idle) Outstanding() int { return 0 }
func (idle) InFlight(fleet.NodeID) (fleet.ActionID, fleet.ActionType, bool) {
	return "", "", false
}
func (idle) Attempts(engine.Need) engine.Attempts { return engine.Attempts{} }
func (idle) Epoch(fleet.NodeID) uint64            { return 1 }

func Example() {
	desired := &fleet.Inventory{
		RequireSig: true,
		Regions: []fleet.Region{
			{Name: "nyc", Nodes: []fleet.Node{{ID: "nyc/1"}, {ID: "nyc/2"}}},
			{Name: "sfo", Nodes: []fleet.Node{{ID: "sfo/1"}}},
		},
	}
	observed := &fleet.ObservedState{Nodes: []fleet.ObservedNode{
		{ID: "old/1", Present: true, CanSign: true},
		{ID: "nyc/1", Present: true, CanSign: false},
		{ID: "nyc/2", Present: true, CanSign: true},
	}}

	plan := engine.Reconcile(desired, observed)
	for _, action := range plan.Actions {
		fmt.Println(action.Type, action.ID)
	}
	for _, b := range engine.Blocking(desired, observed) {
		fmt.Printf("not strict yet: %s: %s\n", b.ID, b.Why)
	}

	policy := engine.DefaultPolicy()
	policy.MaxInFlight = 2
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	out := engine.Dispatch(plan, idle{}, 7, policy, now)
	for _, step := range out.Publish {
		fmt.Println("publish", step.ActionID)
	}
	for _, held := range out.Held {
		fmt.Println("hold", held.Type, held.ID, held.Reason)
	}
	// Output:
	// EnrollNode sfo/1
	// IssueCredential nyc/1
	// DecommissionNode old/1
	// not strict yet: nyc/1: cannot sign
	// not strict yet: sfo/1: absent and cannot sign
	// publish enroll-29f2ac1a9942b4abdf87
	// publish issue-4f78406ce1a4b47eac5a
	// hold DecommissionNode old/1 max_in_flight
}

// Six nodes that nobody desires any more are more than the budget allows, so
// they wait for a person; a node to be enrolled does not.
func ExampleHold() {
	desired := &fleet.Inventory{QuorumWidth: 1, Regions: []fleet.Region{{Name: "nyc", Nodes: []fleet.Node{{ID: "nyc/1"}, {ID: "nyc/2"}}}}}
	observed := &fleet.ObservedState{Nodes: []fleet.ObservedNode{{ID: "nyc/1", Present: true, CanSign: true}}}
	for i := range 6 {
		observed.Nodes = append(observed.Nodes, fleet.ObservedNode{ID: fleet.NodeID(fmt.Sprintf("old/%d", i))})
	}
	plan := engine.Reconcile(desired, observed)
	allowed, held := engine.Hold(plan, engine.Situation{Desired: desired, Observed: observed, Settled: true}, engine.DefaultSafeguards())
	for _, a := range allowed.Actions {
		fmt.Println(a.Type, a.ID)
	}
	fmt.Println(len(held), "held:", held[0].Reason)
	fmt.Println(held[0].Detail)
	// Output:
	// EnrollNode nyc/2
	// 6 held: removal_budget
	// 6 of 7 observed nodes would be removed and 5 may be at once; approve with: fleetfold approve removal-3f4819e61e4a96dc139a
}
