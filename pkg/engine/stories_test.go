package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// TestStories tells each file of testdata/stories. The commands:
//
//	desired [require-sig]   the inventory, one "region: id id ..." a line
//	observed [strict]       the fleet, one "id present|absent signs|unsigned" a line
//	reconcile               decides, and names who keeps strict enforcement off
//	carry-out               lets every action of the last plan succeed
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := story{desired: &fleet.Inventory{}, observed: &fleet.ObservedState{}}
		datadriven.RunTest(t, path, s.tell)
	})
}

type story struct {
	desired  *fleet.Inventory
	observed *fleet.ObservedState
	plan     fleet.Plan
}

func (s *story) tell(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "desired":
		s.desired = parseDesired(d.Input)
		s.desired.RequireSig = d.HasArg("require-sig")
		return "ok"
	case "observed":
		s.observed = parseObserved(t, d.Input)
		s.observed.StrictEnforced = d.HasArg("strict")
		return "ok"
	case "reconcile":
		s.plan = engine.Reconcile(s.desired, s.observed)
		return tellPlan(s.plan) + tellBlocking(engine.Blocking(s.desired, s.observed))
	case "carry-out":
		s.observed = carryOut(s.plan, s.observed)
		return tellObserved(s.observed)
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return ""
}

func parseDesired(text string) *fleet.Inventory {
	inv := &fleet.Inventory{}
	for line := range strings.Lines(text) {
		name, ids, _ := strings.Cut(line, ":")
		region := fleet.Region{Name: name}
		for _, id := range strings.Fields(ids) {
			region.Nodes = append(region.Nodes, fleet.Node{ID: fleet.NodeID(id)})
		}
		inv.Regions = append(inv.Regions, region)
	}
	return inv
}

func parseObserved(t *testing.T, text string) *fleet.ObservedState {
	observed := &fleet.ObservedState{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) != 3 {
			t.Fatalf("want \"id present|absent signs|unsigned\", got %q", line)
		}
		observed.Nodes = append(observed.Nodes, fleet.ObservedNode{
			ID: fleet.NodeID(words[0]), Present: words[1] == "present", CanSign: words[2] == "signs",
		})
	}
	return observed
}

func tellPlan(plan fleet.Plan) string {
	if plan.Empty() {
		return "nothing to do\n"
	}
	var b strings.Builder
	for i, a := range plan.Actions {
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("%d. %s %s", i+1, a.Type, a.ID)))
	}
	return b.String()
}

func tellBlocking(blockers []engine.Blocker) string {
	var b strings.Builder
	for _, blocker := range blockers {
		fmt.Fprintf(&b, "not strict yet: %s: %s\n", blocker.ID, blocker.Why)
	}
	return b.String()
}

func tellObserved(observed *fleet.ObservedState) string {
	word := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	var b strings.Builder
	fmt.Fprintln(&b, word(observed.StrictEnforced, "strict", "permissive"))
	for _, n := range observed.Nodes {
		fmt.Fprintln(&b, n.ID, word(n.Present, "present", "absent"), word(n.CanSign, "signs", "unsigned"))
	}
	return b.String()
}
