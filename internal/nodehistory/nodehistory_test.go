package nodehistory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/nodehistory"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// life is a log in memory and the inventories that it names.
type life struct {
	t    *testing.T
	log  *eventlog.Memory
	invs map[string]*fleet.Inventory
}

func newLife(t *testing.T) *life {
	return &life{t: t, log: eventlog.NewMemory(events.DefaultSubjects(), nil), invs: map[string]*fleet.Inventory{}}
}

func (l *life) append(typ events.Type, node fleet.NodeID, data events.Payload, step *events.Step) {
	l.t.Helper()
	last, err := l.log.Last(context.Background())
	if err != nil {
		l.t.Fatal(err)
	}
	e := &events.Event{ID: fmt.Sprint(last), Source: events.SourcePlanner, Type: typ, Node: node, Time: time.Unix(0, 0), Data: data, Step: step}
	if _, err := l.log.Append(context.Background(), eventlog.Entry{Event: e}); err != nil {
		l.t.Fatal(err)
	}
}

// apply puts an inventory of one region into force.
func (l *life) apply(generation uint64, region string, ids ...fleet.NodeID) {
	l.t.Helper()
	inv := &fleet.Inventory{TrustDomain: "d", QuorumWidth: 1, Regions: []fleet.Region{{Name: region}}}
	for _, id := range ids {
		inv.Regions[0].Nodes = append(inv.Regions[0].Nodes, fleet.Node{ID: id, Attestor: fleet.AttestorMTLSCert, CredTTL: time.Hour, RenewBefore: time.Minute})
	}
	digest := "sha256:" + fmt.Sprintf("%064d", generation)
	l.invs[digest] = inv
	l.append(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: digest, Generation: generation, Actor: "kim"}, nil)
}

// tell is the story, a line for each entry.
func (l *life) tell(id fleet.NodeID) (*nodehistory.Teller, []string) {
	l.t.Helper()
	teller := nodehistory.New(id, l.log.Subjects(), func(digest string) (*fleet.Inventory, error) {
		if inv := l.invs[digest]; inv != nil {
			return inv, nil
		}
		return nil, errors.New("no text")
	})
	records, err := l.log.Read(context.Background(), 0, 1000)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range records {
		if err := teller.See(r); err != nil {
			l.t.Fatal(err)
		}
	}
	var lines []string
	for _, e := range teller.Entries() {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%d %s [%s] %s %s", e.Sequence, e.Type, strings.Join(e.Changed, ", "), e.Plan, e.Action), " "))
	}
	return teller, lines
}

const fingerprint = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func TestTheStoryOfANode(t *testing.T) {
	l := newLife(t)
	action := fleet.ActionID("enroll-1")
	l.apply(1, "nyc", "a", "b")
	plan := &events.PlanDecided{
		Plan: "plan-1", Basis: 1, InventoryDigest: fingerprint, Generation: 1, RuleVersion: "1",
		Actions:   []events.ActionRequested{{Type: fleet.EnrollNode, ID: "a", Action: action, Attempt: 1, Epoch: 1, Generation: 1}},
		Held:      []fleet.Held{{Action: fleet.Action{Type: fleet.EnrollNode, ID: "b"}, Reason: "paused", Detail: "by kim"}},
		HeldTotal: 1,
	}
	l.append(events.TypePlanDecided, "", plan, nil)
	l.append(events.TypeEnrollNode, "a", &plan.Actions[0], &events.Step{Plan: "plan-1", Step: 1, Steps: 1, Basis: 1})
	l.append(events.TypeNodeAppeared, "a", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: fingerprint}, nil)
	l.append(events.TypeNodeAppeared, "b", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: fingerprint}, nil)
	l.append(events.TypeActionSucceeded, "a", &events.ActionSucceeded{Type: fleet.EnrollNode, ID: "a", Action: action, DurationMS: 3}, nil)
	l.append(events.TypeControlPaused, "", &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeRegion, Region: "nyc"}, Actor: "kim"}, nil)
	l.append(events.TypeControlPaused, "", &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeRegion, Region: "sfo"}, Actor: "kim"}, nil)
	l.append(events.TypeNodeLost, "a", &events.NodeLost{Epoch: 1, Reason: "lease_expired"}, nil)
	l.append(events.TypeNodeLost, "a", &events.NodeLost{Epoch: 7, Reason: "lease_expired"}, nil)
	l.apply(2, "oslo", "a")
	l.apply(3, "oslo", "b")

	teller, got := l.tell("a")
	want := []string{
		"1 inventory.applied [desired in nyc]",
		"2 plan.decided [] plan-1 enroll-1",
		"3 enroll-node [] plan-1 enroll-1",
		"4 node.appeared [observed, life 1, present]",
		"6 action.succeeded [] plan-1 enroll-1",
		"7 control.paused []",
		"9 node.lost [absent]",
		"10 node.lost []",
		"11 inventory.applied [desired in oslo and not in nyc]",
		"12 inventory.applied [desired no more]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	entries := teller.Entries()
	if d := entries[7].Detail; !strings.HasSuffix(d, "counts for nothing") {
		t.Errorf("a fact of another life says %q", d)
	}
	if s := entries[8].State; !s.Desired || s.Region != "oslo" || s.Present || !s.Observed || s.Epoch != 1 {
		t.Errorf("behind the move it is %+v", s)
	}
	if _, got := l.tell("b"); got[1] != "2 plan.decided [] plan-1" {
		t.Errorf("of what is held is told\n%s", strings.Join(got, "\n"))
	}
}

// What holds a node is told once, and again when the reason is another one.
func TestAHoldIsToldWhenItChanges(t *testing.T) {
	l := newLife(t)
	l.apply(1, "nyc", "a")
	for i, reason := range []fleet.Reason{"paused", "paused", "blind_fleet", "paused"} {
		l.append(events.TypePlanDecided, "", &events.PlanDecided{
			Plan: fleet.PlanID(fmt.Sprint("plan-", i)), Basis: 1, InventoryDigest: fingerprint, Generation: 1, RuleVersion: "1",
			Held: []fleet.Held{{Action: fleet.Action{Type: fleet.EnrollNode, ID: "a"}, Reason: reason, Detail: "d"}}, HeldTotal: 1,
		}, nil)
	}
	teller, got := l.tell("a")
	if len(got) != 4 {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if e := teller.Entries()[2]; e.Detail != "holds EnrollNode: blind_fleet: d" || e.Plan != "plan-2" {
		t.Errorf("got %+v", e)
	}
}

func TestWhoIsKnown(t *testing.T) {
	l := newLife(t)
	l.append(events.TypeControlPaused, "", &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeFleet}, Actor: "kim"}, nil)
	l.apply(1, "nyc", "a")
	l.append(events.TypeControlPaused, "c", &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeNode, ID: "c"}, Actor: "kim"}, nil)
	l.append(events.TypeNodeAppeared, "ghost", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: fingerprint}, nil)
	for id, want := range map[fleet.NodeID]bool{"a": true, "ghost": true, "c": true, "nobody": false} {
		if teller, _ := l.tell(id); teller.Known() != want {
			t.Errorf("%s: known is %v", id, teller.Known())
		}
	}
}

// A text that is lost leaves a gap in what was asked for, and not in the story.
func TestAnInventoryThatCannotBeRead(t *testing.T) {
	l := newLife(t)
	l.apply(1, "nyc", "a")
	l.append(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: fingerprint, Generation: 2, Actor: "kim"}, nil)
	l.apply(3, "nyc", "b")
	_, got := l.tell("a")
	want := "1 inventory.applied [desired in nyc]\n2 inventory.applied []\n3 inventory.applied [desired no more]"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
