package projection_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func TestAPenaltyHalves(t *testing.T) {
	s := after(t, "appeared n1\n lost n1\n appeared n1\n lost n1") // lost at 2 and at 4 seconds
	for later, want := range map[time.Duration]float64{4: 0.5 + 1, 6: 0.25 + 0.5, 8: 0.125 + 0.25} {
		if got := s.FlapPenalty("n1", midnight.Add(later*time.Second), 2*time.Second); math.Abs(got-want) > 1e-9 {
			t.Errorf("after %ds the penalty is %v, want %v", later, got, want)
		}
	}
	if got := s.FlapPenalty("stranger", midnight, time.Second); got != 0 {
		t.Errorf("a stranger's penalty is %v", got)
	}
}

func TestLostAtIsTheNewestLoss(t *testing.T) {
	s := after(t, "appeared n1\n lost n1\n appeared n1\n lost n1\n appeared n2")
	if at, lost := s.LostAt("n1"); !lost || !at.Equal(storedAt(4)) {
		t.Errorf("n1 is lost: %v, since %s", lost, at)
	}
	for _, id := range []fleet.NodeID{"n2", "stranger"} {
		if at, lost := s.LostAt(id); lost || !at.IsZero() {
			t.Errorf("%s is lost: %v, since %s", id, lost, at)
		}
	}
}

func TestAPenaltyCountsNoMoreThanSixteen(t *testing.T) {
	s := after(t, strings.Repeat("appeared n1\n lost n1\n", 40))
	if got := s.FlapPenalty("n1", midnight, time.Hour); got != 16 {
		t.Errorf("40 losses make a penalty of %v, want 16", got)
	}
	if got := s.FlapPenalty("n1", storedAt(80), time.Second); got < 1 || got > 2 {
		t.Errorf("the newest loss counts most: %v", got)
	}
}

// What is lost is absent, and was neither seen nor heard saying farewell since
// it was lost.
func TestLostAgreesWithHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		lost := map[fleet.NodeID]bool{}
		for _, text := range history(rt) {
			l := parseLine(text)
			if counted := !apply(t, s, l.event()).Empty(); !counted {
				continue
			}
			switch l.verb {
			case "lost":
				lost[fleet.NodeID(l.who)] = true
			case "appeared", "left", "removed":
				delete(lost, fleet.NodeID(l.who))
			}
		}
		for _, id := range lawIDs {
			if s.Lost(id) != lost[id] {
				rt.Fatalf("%s is lost: %v, by its history %v", id, s.Lost(id), lost[id])
			}
		}
	})
}

// The naive account of pauses: the last of the two that counted.
func TestPausesAgreeWithHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		paused := map[fleet.Target]bool{}
		for _, text := range history(rt) {
			l := parseLine(text)
			counted := !apply(t, s, l.event()).Empty()
			if l.verb != "paused" && l.verb != "resumed" {
				continue
			}
			if counted != (paused[l.target()] != (l.verb == "paused")) {
				rt.Fatalf("%s counted: %v, paused before: %v", text, counted, paused[l.target()])
			}
			paused[l.target()] = l.verb == "paused"
		}
		for target, want := range paused {
			if _, got := s.Paused(target); got != want {
				rt.Fatalf("%s is paused: %v, by its history %v", target, got, want)
			}
		}
	})
}

func TestPausesAreListedFromTheWidest(t *testing.T) {
	s := after(t, "paused n2\n paused region=b\n paused n1\n paused\n paused region=a")
	var got []string
	for _, p := range s.Pauses() {
		got = append(got, p.Target.String())
	}
	if want := []string{"the fleet", "region a", "region b", "node n1", "node n2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnApprovalEndsWithItsInventory(t *testing.T) {
	s := after(t, "appeared n1\n inventory d\n approved r1 basis=2")
	if a, ok := s.Approved("r1"); !ok || a.Actor != "kim" || !s.RemovalApproved("n1") {
		t.Errorf("approved %+v, %v, n1 may be removed: %v", a, ok, s.RemovalApproved("n1"))
	}
	apply(t, s, parseLine("inventory e generation=2").event())
	if _, ok := s.Approved("r1"); ok || s.RemovalApproved("n1") {
		t.Error("the approval outlives its inventory")
	}
}

func TestAnApprovalOfLessTakesNothingFromAnother(t *testing.T) {
	s := after(t, "inventory d\n appeared n1\n appeared n2\n approved r1 basis=3\n approved r2 basis=2")
	if !s.RemovalApproved("n1") || !s.RemovalApproved("n2") {
		t.Errorf("n1 may be removed: %v, n2: %v", s.RemovalApproved("n1"), s.RemovalApproved("n2"))
	}
}

func TestAPauseMustFitItsSubject(t *testing.T) {
	n1, nowhere := fleet.Target{Scope: fleet.ScopeNode, ID: "n1"}, fleet.Target{Scope: fleet.ScopeRegion}
	s := projection.New()
	for _, e := range []*events.Event{
		{Type: events.TypeControlPaused, Node: "n2", Data: &events.ControlPaused{Target: n1}},
		{Type: events.TypeControlResumed, Node: "n2", Data: &events.ControlResumed{Target: n1}},
		{Type: events.TypeControlPaused, Data: &events.ControlPaused{Target: nowhere}},
		{Type: events.TypeControlResumed, Data: &events.ControlResumed{Target: nowhere}},
	} {
		apply(t, s, e)
	}
	if len(s.Pauses()) != 0 || s.Unfit() != 4 || len(s.Ignored()) != 0 {
		t.Errorf("paused %v, %d unfit, ignored %v", s.Pauses(), s.Unfit(), s.Ignored())
	}
}

// A plan is one batch: until its last action is folded, a decision would
// publish the rest of it once more.
func TestAPlanIsInsideUntilItsLastAction(t *testing.T) {
	announce := &events.Event{Type: events.TypePlanDecided, Data: &events.PlanDecided{Actions: make([]events.ActionRequested, 2)}}
	for what, c := range map[string]struct {
		behind func(*projection.State)
		inside bool
	}{
		"nothing has followed":            {func(*projection.State) {}, true},
		"one of two actions has followed": {func(s *projection.State) { apply(t, s, parseLine("enroll n1").event()) }, true},
		"both have": {func(s *projection.State) {
			apply(t, s, parseLine("enroll n1").event())
			apply(t, s, parseLine("enroll n1").event())
		}, false},
		"a fact has, so no action will":             {func(s *projection.State) { apply(t, s, parseLine("appeared n1").event()) }, false},
		"what is no event has":                      {func(s *projection.State) { apply(t, s, nil) }, false},
		"a fact that cannot be read has":            {func(s *projection.State) { skip(t, s, "fleet.events.node.n1") }, false},
		"an action that cannot be read is a part":   {func(s *projection.State) { skip(t, s, "fleet.actions.a-newer-one.n1") }, true},
		"both have, though they could not be read":  {func(s *projection.State) { skip(t, s, "fleet.actions.new"); skip(t, s, "fleet.actions.new") }, false},
		"another plan has, which announces nothing": {func(s *projection.State) { apply(t, s, parseLine("plan p2").event()) }, false},
	} {
		s := projection.New()
		apply(t, s, announce)
		if c.behind(s); s.InsidePlan() != c.inside {
			t.Errorf("%s: inside is %v, want %v", what, s.InsidePlan(), c.inside)
		}
	}
}

func skip(t *testing.T, s *projection.State, subject string) {
	t.Helper()
	if err := s.Skip(s.Sequence()+1, events.DefaultSubjects(), subject); err != nil {
		t.Fatal(err)
	}
}
