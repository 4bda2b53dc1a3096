package decide_test

import (
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// A planner decides to enrol a node. Before an executor begins, a person pauses
// the fleet: the action is still wanted, and held.
func Example() {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	state := projection.New()
	inventory := &fleet.Inventory{Regions: []fleet.Region{{Name: "oslo", Nodes: []fleet.Node{{ID: "node-1"}}}}}

	decided := decide.Plan(state, inventory, decide.Given{
		Settled: true, Now: now, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy(),
	})
	action := decided.Publish[0].Action
	fmt.Println("publish", action.Type, action.ID)

	_, err := state.Apply(1, now, &events.Event{Type: events.TypeControlPaused, Data: &events.ControlPaused{
		Target: fleet.Target{Scope: fleet.ScopeFleet}, Actor: "kim", Note: "storm",
	}})
	if err != nil {
		fmt.Println(err)
	}
	var holds decide.Holds
	desired := decide.NewDesired(inventory)
	held, _ := holds.Of(state, desired, action)
	fmt.Println("wanted:", decide.Wanted(state, desired, action))
	fmt.Println(held.Reason, "because", held.Detail)
	// Output:
	// publish EnrollNode node-1
	// wanted: true
	// paused because the fleet was paused by kim at 2026-06-01T12:00:00Z: storm
}
