package decide

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// One attempt does not wait. The failures before it go on counting: it is stuck as
// before, and if it fails the next wait is longer.
func TestARetryLetsOneAttemptThrough(t *testing.T) {
	inv := &fleet.Inventory{Regions: []fleet.Region{{Name: "r", Nodes: []fleet.Node{{ID: "n1"}}}}}
	state, given := projection.New(), Given{Settled: true, Now: noon, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy()}
	given.Policy.Jitter = 0
	apply := func(kind events.Type, id fleet.NodeID, data events.Payload) {
		t.Helper()
		if _, err := state.Apply(state.Sequence()+1, noon, &events.Event{Type: kind, Node: id, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	fail := func() engine.Step {
		t.Helper()
		d := Plan(state, inv, given)
		if len(d.Publish) != 1 {
			t.Fatalf("not published: %+v", d.Held)
		}
		s := d.Publish[0]
		apply(events.TypeEnrollNode, "n1", &events.ActionRequested{Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation})
		apply(events.TypeActionFailed, "n1", &events.ActionFailed{Type: s.Type, ID: s.ID, Action: s.ActionID, Reason: "timeout"})
		return s
	}
	waits := func(want time.Duration) {
		t.Helper()
		if d := Plan(state, inv, given); len(d.Publish) > 0 || d.Wake.Sub(noon) != want {
			t.Fatalf("waits until %s, published %+v, want %s after noon", d.Wake, d.Publish, want)
		}
	}
	retry := func(s engine.Step) {
		apply(events.TypeRetryRequested, "n1", &events.RetryRequested{Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation, Actor: "kim"})
	}
	apply(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: "d", Generation: 1})
	first := fail()
	waits(time.Second)
	retry(first)
	second := fail()
	if second.Attempt != 2 || second.ActionID == first.ActionID {
		t.Errorf("the retry is %+v, after %+v", second, first)
	}
	waits(2 * time.Second)
	retry(first) // of an attempt that has a successor
	waits(2 * time.Second)
	retry(second)
	retry(second)
	fail()
	waits(4 * time.Second)
	if stuck := Plan(state, inv, given).Stuck; len(stuck) != 1 || stuck[0].Failures != 3 {
		t.Errorf("stuck %+v", stuck)
	}
}

// A person lets nothing through that a safeguard holds.
func TestARetryDoesNotPassASafeguard(t *testing.T) {
	inv := &fleet.Inventory{Regions: []fleet.Region{{Name: "r", Nodes: []fleet.Node{{ID: "n1"}}}}}
	state := projection.New()
	for _, e := range []*events.Event{
		{Type: events.TypeInventoryApplied, Data: &events.InventoryApplied{Digest: "d", Generation: 1}},
		{Type: events.TypeEnrollNode, Node: "n1", Data: &events.ActionRequested{Type: fleet.EnrollNode, ID: "n1", Action: "e1", Attempt: 1, Epoch: 1, Generation: 1}},
		{Type: events.TypeActionFailed, Node: "n1", Data: &events.ActionFailed{Action: "e1"}},
		{Type: events.TypeControlPaused, Data: &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeFleet}}},
		{Type: events.TypeRetryRequested, Node: "n1", Data: &events.RetryRequested{Type: fleet.EnrollNode, ID: "n1", Action: "e1", Attempt: 1, Epoch: 1, Generation: 1}},
		{Type: events.TypeControlResumed, Data: &events.ControlResumed{Target: fleet.Target{Scope: fleet.ScopeFleet}}},
	} {
		if _, err := state.Apply(state.Sequence()+1, noon, e); err != nil {
			t.Fatal(err)
		}
		d := Plan(state, inv, Given{Settled: true, Now: noon, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy()})
		switch e.Type {
		case events.TypeRetryRequested:
			if len(d.Publish) > 0 || d.Held[0].Reason != engine.ReasonPaused {
				t.Errorf("paused, and published %+v, held %+v", d.Publish, d.Held)
			}
		case events.TypeControlResumed:
			if len(d.Publish) != 1 || d.Publish[0].Attempt != 2 {
				t.Errorf("resumed, and published %+v, held %+v", d.Publish, d.Held)
			}
		}
	}
}
