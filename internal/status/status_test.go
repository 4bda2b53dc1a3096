package status

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Readers judge by what planners use, as the newest plan recorded it.
func TestWhatIsStuckFollowsThePolicyOfTheNewestPlan(t *testing.T) {
	for does, c := range map[string]struct {
		recorded, want int
	}{
		"a plan that says two":             {2, 1},
		"a plan that says four":            {4, 0},
		"a plan of before there was a say": {0, 1},
	} {
		st, inv := failing(t, 3, c.recorded)
		s, nodes := Of(st, inv, time.Now()), Nodes(st, inv)
		if len(s.Stuck) != c.want || nodes[0].Stuck != (c.want == 1) || nodes[0].Failures != 3 || nodes[0].LastError != "odd: very" {
			t.Errorf("%s: stuck %+v, nodes %+v", does, s.Stuck, nodes)
		}
		if got := strings.Contains(s.Missing(), "1 stuck, the first is EnrollNode node-1 after 3 failures: odd: very"); got != (c.want == 1) {
			t.Errorf("%s: missing is %q", does, s.Missing())
		}
	}
}

// failing is a fleet of one node whose enrolment failed n times in a row.
func failing(t *testing.T, n, stuckAfter int) (*projection.State, *fleet.Inventory) {
	t.Helper()
	st, seq := projection.New(), uint64(0)
	apply := func(typ events.Type, node fleet.NodeID, data events.Payload) {
		seq++
		if _, err := st.Apply(seq, time.Now(), &events.Event{Type: typ, Node: node, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	apply(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: "sha256:1", Generation: 1})
	for i := range n {
		a := events.ActionRequested{Type: fleet.EnrollNode, ID: "node-1", Action: fleet.ActionID(fmt.Sprint(i)), Attempt: i + 1, Epoch: 1, Generation: 1}
		apply(events.TypePlanDecided, "", &events.PlanDecided{Actions: []events.ActionRequested{a}, Policy: events.DispatchPolicy{
			MaxInFlight: 256, BackoffBaseSeconds: 1, BackoffCapSeconds: 300, Jitter: 0.2, StuckAfter: stuckAfter,
		}})
		apply(events.TypeEnrollNode, "node-1", &a)
		apply(events.TypeActionFailed, "node-1", &events.ActionFailed{Type: a.Type, ID: a.ID, Action: a.Action, Reason: "odd", Detail: "very"})
	}
	return st, &fleet.Inventory{Regions: []fleet.Region{{Nodes: []fleet.Node{{ID: "node-1"}}}}}
}

func TestMessagesThatAreNoEventAreCounted(t *testing.T) {
	st := projection.New()
	if _, err := st.Apply(1, time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	if s := Of(st, nil, time.Now()); s.Unfit != 1 || s.Stuck == nil || s.Services == nil {
		t.Errorf("status %+v", s)
	}
}

// The end of the log is taken before services are asked: they may be beyond it.
func TestAServiceThatIsBeyondTheEndIsNotBehind(t *testing.T) {
	var s Status
	s.SetServices([]eventlog.Service{{ServiceReport: eventlog.ServiceReport{Sequence: 7}}, {ServiceReport: eventlog.ServiceReport{Sequence: 12}}}, 10)
	if s.Services[0].Lag != 3 || s.Services[1].Lag != 0 {
		t.Errorf("services %+v", s.Services)
	}
}

// A program that reads plans reads states, too: the same thing has the same name.
func TestBlockersAreNamedAsInAPlan(t *testing.T) {
	strict := &fleet.Inventory{RequireSig: true, Regions: []fleet.Region{{Nodes: []fleet.Node{{ID: "node-1"}}}}}
	for does, c := range map[string]struct {
		inv  *fleet.Inventory
		want string
	}{
		"a node that was never seen blocks":     {strict, `[{"id":"node-1","reason":"absent and cannot sign"}]`},
		"a list stays a list when it is empty":  {&fleet.Inventory{}, `[]`},
		"without an inventory nothing is asked": {nil, `[]`},
	} {
		text, err := json.Marshal(Of(projection.New(), c.inv, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			BlockedBy json.RawMessage `json:"blocked_by"`
		}
		if err := json.Unmarshal(text, &got); err != nil || string(got.BlockedBy) != c.want {
			t.Errorf("%s: blocked_by is %s, %v, want %s", does, got.BlockedBy, err, c.want)
		}
	}
}
