package status

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Each action of the plan, and each in flight, stands there once, with what it
// waits for.
func TestActionsSayWhatTheyWaitFor(t *testing.T) {
	now := time.Now()
	st, inv := failing(t, 3, 3)
	inv.Regions[0].Name = "nyc"
	for _, id := range []fleet.NodeID{"flying", "paused", "due"} {
		inv.Regions[0].Nodes = append(inv.Regions[0].Nodes, fleet.Node{ID: id})
	}
	apply := func(typ events.Type, node fleet.NodeID, data events.Payload) {
		t.Helper()
		step := &events.Step{Plan: "plan-1", Step: 1, Steps: 1}
		if _, err := st.Apply(st.Sequence()+1, now, &events.Event{Type: typ, Node: node, Data: data, Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	flight := events.ActionRequested{Type: fleet.EnrollNode, ID: "flying", Action: "enroll-1", Attempt: 1, Epoch: 1, Generation: 1}
	apply(events.TypePlanDecided, "", &events.PlanDecided{Plan: "plan-1", Actions: []events.ActionRequested{flight}, Policy: st.Policy()})
	apply(events.TypeEnrollNode, "flying", &flight)
	apply(events.TypeControlPaused, "paused", &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeNode, ID: "paused"}, Actor: "kim"})

	got := map[fleet.NodeID]Action{}
	list := Actions(st, inv, now)
	for _, a := range list {
		got[a.ID] = a
	}
	if len(list) != 4 || len(got) != 4 {
		t.Fatalf("listed %+v", list)
	}
	for id, want := range map[fleet.NodeID]ActionState{"node-1": ActionStuck, "flying": ActionInFlight, "paused": ActionHeld, "due": ActionDue} {
		if a := got[id]; a.State != want || a.Region != "nyc" || a.Stuck != (id == "node-1") {
			t.Errorf("%s: %+v, want %s", id, a, want)
		}
	}
	if a := got["flying"]; a.Action != "enroll-1" || a.Since == nil || a.Attempt != 1 {
		t.Errorf("in flight is %+v", a)
	}
	if a := got["due"]; a.Action == "" || a.Attempt != 1 || a.Reason != "" {
		t.Errorf("due is %+v", a)
	}
	if a := got["node-1"]; a.Failures != 3 || a.Reason != engine.ReasonBackingOff {
		t.Errorf("stuck is %+v", a)
	}
	if open := Open(st); open["plan-1"] != 1 || len(open) != 1 {
		t.Errorf("open are %v", open)
	}

	holds := Holds(st, inv, now)
	if len(holds) != 2 || holds[0].ID != "paused" || holds[0].Reason != engine.ReasonPaused || holds[0].Region != "nyc" || holds[1].ID != "node-1" {
		t.Errorf("held are %+v", holds)
	}
}

func TestAHoldNamesWhatMayBeApproved(t *testing.T) {
	st := projection.New()
	for i, id := range []fleet.NodeID{"a", "b", "c", "d", "e", "f", "g"} {
		data := &events.NodeAppeared{Epoch: 1, KeyFingerprint: "k"}
		if _, err := st.Apply(uint64(i+1), time.Now(), &events.Event{Type: events.TypeNodeAppeared, Node: id, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	inv, now := &fleet.Inventory{}, time.Now()
	approval, waits := Waiting(st, inv, now)
	holds := Holds(st, inv, now)
	if !waits || len(holds) != 7 || holds[0].Reason != engine.ReasonRemovalBudget || holds[0].Approval != approval.ID || approval.ID == "" {
		t.Errorf("waiting %+v %v, held %+v", approval, waits, holds)
	}
	if got := Holds(st, nil, now); got == nil || len(got) != 0 {
		t.Errorf("without an inventory %v", got)
	}
	if got := Actions(st, nil, now); got == nil || len(got) != 0 {
		t.Errorf("without an inventory %v", got)
	}
}

func TestAPlanIsReadFromItsRecord(t *testing.T) {
	d := &events.PlanDecided{Plan: "p", Generation: 2, HeldTotal: 3, Actions: []events.ActionRequested{{Type: fleet.EnrollNode}, {Type: fleet.EnrollNode}}}
	p, ok := PlanOf(eventlog.Record{Sequence: 9, Event: &events.Event{Data: d}})
	if !ok || p.Plan != "p" || p.Sequence != 9 || p.Generation != 2 || p.Held != 3 || p.Counts[fleet.EnrollNode] != 2 {
		t.Errorf("got %+v, %v", p, ok)
	}
	for _, r := range []eventlog.Record{{}, {Event: &events.Event{Data: &events.NodeLeft{}}}} {
		if _, ok := PlanOf(r); ok {
			t.Errorf("%+v was taken for a plan", r)
		}
	}
}

func TestRegionsAreNamedOnce(t *testing.T) {
	inv := &fleet.Inventory{Regions: []fleet.Region{{Name: "b"}, {Name: "a"}, {Name: "b"}}}
	if got := Regions(inv); len(got) != 2 || got[0] != "b" || got[1] != "a" {
		t.Errorf("got %v", got)
	}
}
