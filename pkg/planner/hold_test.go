package planner_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func inventoryOf(ids ...fleet.NodeID) string {
	text := "trust_domain: fleet.example\nquorum: {width: 1}\nregions:\n  - name: nyc\n    nodes:\n"
	for _, id := range ids {
		text += fmt.Sprintf("      - {id: %s, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}\n", id)
	}
	return text
}

// cameAndWent puts a node on the log that is absent: lost, or left.
func (s *site) cameAndWent(id fleet.NodeID, lost bool) {
	s.t.Helper()
	n := s.node(id)
	s.append(&events.Event{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: n.fingerprint}})
	if lost {
		s.append(&events.Event{Type: events.TypeNodeLost, Node: id, Data: &events.NodeLost{Epoch: 1, Reason: planner.LostLeaseExpired}})
		return
	}
	s.append(&events.Event{Type: events.TypeNodeLeft, Node: id, Data: &events.NodeLeft{Epoch: 1}})
}

func heldFor(d *events.PlanDecided, reason fleet.Reason) (n int) {
	for _, h := range d.Held {
		if h.Reason == reason {
			n++
		}
	}
	return n
}

func TestBlindIsNotDead(t *testing.T) {
	s := newSite(t)
	for _, id := range []fleet.NodeID{"n1", "n2", "n3"} {
		s.cameAndWent(id, true)
	}
	safeguards := engine.DefaultSafeguards()
	safeguards.LostWait = time.Second
	v, metrics := s.guardedPlanner(safeguards)
	s.apply(v, inventoryOf("n1", "n2", "n3", "new"))
	d := s.next(events.TypePlanDecided).Event.Data.(*events.PlanDecided)
	if len(d.Actions) != 1 || d.Actions[0].ID != "new" || heldFor(d, engine.ReasonBlindFleet) != 3 {
		t.Errorf("published %+v, held %+v", d.Actions, d.Held)
	}
	if !d.Settled || d.Safeguards.BlindMin != 3 || d.Safeguards.FlapHalfLifeSeconds != 600 {
		t.Errorf("the plan does not say what it was held by: settled %v, %+v", d.Settled, d.Safeguards)
	}
	if got := testutil.CollectAndCount(metrics, "fleetfold_held_actions"); got == 0 {
		t.Error("no metric tells of it")
	}
	// Whoever returns needs no enrolment, and then we are not blind any more. The
	// others may be on their way, too; of those who are not, both are enrolled.
	s.beat(s.node("n1"))
	returned := s.next(events.TypeNodeAppeared)
	for _, want := range []fleet.NodeID{"n2", "n3"} {
		enrol := s.next(events.TypeEnrollNode)
		if waited := enrol.Time.Sub(returned.Time); enrol.Event.Node != want || waited < safeguards.LostWait {
			t.Errorf("enrolled %s %s after the first had returned, want %s, and no sooner than %s", enrol.Event.Node, waited, want, safeguards.LostWait)
		}
	}
}

// Nodes that are cut off together are not lost together: each loss is a fact of
// its own, and the first must not be acted on before the last is there.
func TestTheFirstOfManyLossesWaitsForTheOthers(t *testing.T) {
	s := newSite(t)
	safeguards := engine.DefaultSafeguards()
	safeguards.LostWait = 10 * time.Second
	v, _ := s.guardedPlanner(safeguards)
	for i, id := range []fleet.NodeID{"n1", "n2", "n3"} {
		s.beatFor(s.node(id), time.Duration(i+1)*time.Second)
	}
	s.next(events.TypeNodeLost)
	s.apply(v, inventoryOf("n1", "n2", "n3", "new"))
	first := s.next(events.TypePlanDecided).Event.Data.(*events.PlanDecided)
	if first.Actions[0].ID != "new" || heldFor(first, engine.ReasonJustLost) != 1 {
		t.Errorf("published %+v, held %+v", first.Actions, first.Held)
	}
	s.next(events.TypeNodeLost)
	s.next(events.TypeNodeLost)
	s.apply(v, inventoryOf("n1", "n2", "n3", "new", "newer"))
	second := s.next(events.TypePlanDecided).Event.Data.(*events.PlanDecided)
	if len(second.Actions) != 1 || second.Actions[0].ID != "newer" || heldFor(second, engine.ReasonBlindFleet) != 3 {
		t.Errorf("published %+v, held %+v", second.Actions, second.Held)
	}
}

func TestADampedNodeIsEnrolledWhenItsPenaltyHasDecayed(t *testing.T) {
	s := newSite(t)
	s.cameAndWent("n1", true)
	s.cameAndWent("n1", true)
	safeguards := engine.DefaultSafeguards()
	safeguards.LostWait, safeguards.FlapThreshold, safeguards.FlapHalfLife = 0, 1, time.Second
	v, _ := s.guardedPlanner(safeguards)
	s.apply(v, inventoryOf("n1"))
	s.next(events.TypeNodeLost)
	lost := s.next(events.TypeNodeLost)
	// Nothing else happens: only the planner's own clock can bring it about.
	enroll := s.next(events.TypeEnrollNode)
	if waited := enroll.Time.Sub(lost.Time); waited < 900*time.Millisecond {
		t.Errorf("enrolled %s after its second loss", waited)
	}
}

func TestAMassRemovalWaitsForAPerson(t *testing.T) {
	s := newSite(t)
	for i := range 6 {
		s.cameAndWent(fleet.NodeID(fmt.Sprintf("old-%d", i)), false)
	}
	v, _ := s.planner()
	ca, n1 := s.trust("fleet.example"), s.node("n1")
	s.beat(n1)
	for e := s.next(events.TypeNodeAppeared); e.Event.Node != "n1"; e = s.next(events.TypeNodeAppeared) {
		continue
	}
	s.apply(v, inventoryOf("n1", "n2"))
	asked := s.next(events.TypeEnrollNode).Event.Data.(*events.ActionRequested)
	s.prove(n1, n1.key, "spiffe://fleet.example/n1", s.issue(ca, n1))
	s.next(events.TypeCredentialProved)
	// The next attempt at n2 brings a plan that says what is held besides.
	s.append(&events.Event{Type: events.TypeActionFailed, Node: "n2", Data: &events.ActionFailed{
		Type: asked.Type, ID: asked.ID, Action: asked.Action, Reason: "deadline_exceeded", Detail: "did not appear",
	}})
	d := s.next(events.TypePlanDecided).Event.Data.(*events.PlanDecided)
	if heldFor(d, engine.ReasonRemovalBudget) != 6 {
		t.Fatalf("held %+v", d.Held)
	}
	if err := planner.Approve(s.ctx, s.log, approvalOf(s, v, "old-"), d.Basis, planner.Word{Actor: "kim", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	approved := s.next(events.TypePlanApproved)
	for range 6 {
		if r := s.next(events.TypeDecommissionNode); r.Event.Step.Basis < approved.Sequence {
			t.Errorf("%s was removed on %d, before the approval at %d", r.Event.Node, r.Event.Step.Basis, approved.Sequence)
		}
	}
}

func approvalOf(s *site, v *view.View, prefix string) fleet.ApprovalID {
	var plan fleet.Plan
	v.Read(func(st *projection.State) {
		for _, n := range st.Observed().Nodes {
			if len(n.ID) > len(prefix) && string(n.ID[:len(prefix)]) == prefix {
				plan.Actions = append(plan.Actions, fleet.Action{Type: fleet.DecommissionNode, ID: n.ID})
			}
		}
	})
	return engine.ApprovalIDFor(plan)
}

func TestNothingIsPublishedWhilePaused(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	everything, word := fleet.Target{Scope: fleet.ScopeFleet}, planner.Word{Actor: "kim", Note: "storm", At: time.Now()}
	for i, want := range []bool{true, false} {
		if changed, err := planner.Pause(s.ctx, s.log, v, everything, word); err != nil || changed != want {
			t.Errorf("pause %d: changed %v, %v", i+1, changed, err)
		}
	}
	s.apply(v, twoNodes)
	if changed, err := planner.Resume(s.ctx, s.log, v, everything, word); err != nil || !changed {
		t.Errorf("resume: changed %v, %v", changed, err)
	}
	resumed := s.next(events.TypeControlResumed)
	if plan := s.next(events.TypePlanDecided); plan.Event.Data.(*events.PlanDecided).Basis < resumed.Sequence {
		t.Error("a plan was decided while the fleet was paused")
	}
	if changed, err := planner.Resume(s.ctx, s.log, v, everything, word); err != nil || changed {
		t.Errorf("resume again: changed %v, %v", changed, err)
	}
}
