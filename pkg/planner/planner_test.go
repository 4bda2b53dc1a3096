package planner_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestPlanIsOneBatchInOrder(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	s.apply(v, twoNodes)
	plan := s.next(events.TypePlanDecided)
	decided := plan.Event.Data.(*events.PlanDecided)
	if decided.Basis != plan.Sequence-1 || len(decided.Actions) != 2 {
		t.Errorf("plan at %d has basis %d and %d actions", plan.Sequence, decided.Basis, len(decided.Actions))
	}
	for i, want := range []fleet.NodeID{"n1", "n2"} {
		r := s.next(events.TypeEnrollNode)
		step := r.Event.Step
		if r.Event.Node != want || r.Sequence != plan.Sequence+uint64(i)+1 || step.Plan != decided.Plan || step.Step != i+1 || step.Steps != 2 {
			t.Errorf("action %d is for %s at %d, %+v", i, r.Event.Node, r.Sequence, step)
		}
	}
}

func TestTwoPlannersPublishEachActionOnce(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	s.planner()
	s.apply(v, twoNodes)
	first := map[fleet.ActionID]bool{}
	for range 2 {
		r := s.next(events.TypeEnrollNode)
		d := r.Event.Data.(*events.ActionRequested)
		first[d.Action] = true
		s.append(&events.Event{Type: events.TypeActionFailed, Node: d.ID, Data: &events.ActionFailed{
			Type: d.Type, ID: d.ID, Action: d.Action, Reason: "deadline_exceeded", Detail: "did not appear",
		}})
	}
	if len(first) != 2 {
		t.Errorf("%d different actions in the first plan, want 2", len(first))
	}
	for range 2 {
		d := s.next(events.TypeEnrollNode).Event.Data.(*events.ActionRequested)
		if first[d.Action] || d.Attempt != 2 {
			t.Errorf("action %s attempt %d after a failure, want a new id and attempt 2", d.Action, d.Attempt)
		}
	}
}

func TestStrictIsAskedForOnlyAfterEveryProof(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	ca := s.trust("fleet.example")
	n1, n2 := s.node("n1"), s.node("n2")
	s.beat(n1)
	s.beat(n2)
	for range 2 {
		s.next(events.TypeNodeAppeared)
	}
	s.apply(v, twoNodes)
	for range 2 {
		s.next(events.TypeIssueCredential)
	}
	for _, n := range []*node{n1, n2} {
		s.prove(n, n.key, "spiffe://fleet.example/"+string(n.id), s.issue(ca, n))
	}
	proved := []eventlog.Record{s.next(events.TypeCredentialProved), s.next(events.TypeCredentialProved)}
	if proved[0].Event.DSSEMaterial == nil {
		t.Error("the proof did not keep its signature on the log")
	}
	if enable := s.next(events.TypeEnableStrictEnforcement); enable.Event.Step.Basis < proved[1].Sequence {
		t.Errorf("enable decided on %d, before the last proof at %d", enable.Event.Step.Basis, proved[1].Sequence)
	}
}

// The leases, here none at all, are read long before a long log is folded: whom
// that log calls present is missed all the same.
func TestWhoIsGoneWhenThePlannerStartsIsLost(t *testing.T) {
	s := newSite(t)
	const nodes = 500
	entries := make([]eventlog.Entry, nodes)
	for i := range entries {
		id := fleet.NodeID(fmt.Sprintf("n%d", i))
		entries[i].Event = &events.Event{
			ID: string(id), Source: events.SourcePlanner, Type: events.TypeNodeAppeared, Node: id, Time: time.Now(),
			Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: "sha256:" + strings.Repeat("0", 64)},
		}
	}
	if _, err := s.log.Append(s.ctx, entries...); err != nil {
		t.Fatal(err)
	}
	s.planner()
	for range nodes {
		if d := s.next(events.TypeNodeLost).Event.Data.(*events.NodeLost); d.Reason != planner.LostNoLease {
			t.Fatalf("lost for %s, want %s", d.Reason, planner.LostNoLease)
		}
	}
}

func TestBorderRefusesFalseProofs(t *testing.T) {
	s := newSite(t)
	v, metrics := s.planner()
	ca := s.trust("fleet.example")
	n1, n2 := s.node("n1"), s.node("n2")
	s.beat(n1)
	s.next(events.TypeNodeAppeared)
	s.apply(v, twoNodes)
	s.next(events.TypeInventoryApplied)
	issued := s.issue(ca, n1)
	s.prove(n1, n2.key, "spiffe://fleet.example/n1", issued)
	s.prove(n1, n1.key, "spiffe://fleet.example/n2", issued)
	for _, change := range []func(*events.CredentialIssued){
		func(d *events.CredentialIssued) { d.Nonce = "00000000000000000000000000000000" },
		func(d *events.CredentialIssued) { d.Serial = "00000000000000000000000000000000" },
		func(d *events.CredentialIssued) { d.Epoch++ },
	} {
		other := *issued
		change(&other)
		s.prove(n1, n1.key, "spiffe://fleet.example/n1", &other)
	}
	// Only now: of statements that wait together for the log the last one counts.
	s.refused(metrics, planner.RefusedNoChallenge, 3)
	s.prove(n1, n1.key, "spiffe://fleet.example/n1", issued)
	if d := s.next(events.TypeCredentialProved).Event.Data.(*events.CredentialProved); d.Serial != issued.Serial || d.Nonce != issued.Nonce || d.Epoch != issued.Epoch {
		t.Errorf("%+v counts for %+v", d, issued)
	}
	if err := v.CatchUp(s.ctx); err != nil {
		t.Fatal(err)
	}
	v.Read(func(st *projection.State) {
		if !st.CanSign("n1") {
			t.Error("the true proof did not count")
		}
	})
	if got := testutil.CollectAndCount(metrics, "fleetfold_messages_refused_total"); got != 3 {
		t.Errorf("%d reasons counted for five false proofs", got)
	}
}

func TestApplyRefusesAnInvalidInventoryAndRepeatsNone(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	if _, _, err := planner.Apply(s.ctx, s.bus, s.log, v, []byte("trust_domain: x\n"), "test", "", time.Now()); err == nil {
		t.Error("an inventory without quorum was applied")
	}
	for i, want := range []bool{true, false} {
		generation, applied, err := planner.Apply(s.ctx, s.bus, s.log, v, []byte(twoNodes), "test", "", time.Now())
		if err != nil || applied != want || generation != 1 {
			t.Errorf("apply %d: generation %d, applied %v, %v", i+1, generation, applied, err)
		}
	}
}
