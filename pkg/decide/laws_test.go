package decide

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// The rule is shown one node only. That must never change the answer.
func TestDecidingOnOneNodeIsDecidingOnAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		plan := s.plan()
		for _, id := range s.ids {
			for _, kind := range []fleet.ActionType{fleet.EnrollNode, fleet.IssueCredential, fleet.DecommissionNode} {
				a := fleet.Action{Type: kind, ID: id}
				if got := Wanted(s.state, s.desired, a); got != plan.Has(a) {
					t.Fatalf("%v: decided %v alone, %v among all: %+v", a, got, plan.Has(a), *s.state.Observed())
				}
			}
		}
	})
}

// Whatever way is short for an action, the answer is that of the whole plan.
func TestAHoldIsTheSameAloneAndAmongAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		_, held := engine.Hold(s.plan(), engine.Situation{
			Desired: s.desired.Inventory, Observed: s.state.Observed(), Facts: s.state, Settled: true, Now: noon,
		}, Safeguards(s.state))
		want := make(map[fleet.Action]fleet.Held)
		for _, h := range held {
			switch h.Reason {
			case engine.ReasonJustLost, engine.ReasonFlapping:
			default:
				want[h.Action] = h
			}
		}
		var holds Holds
		got := make(map[fleet.Action]fleet.Held)
		for _, a := range s.plan().Actions {
			if h, ok := holds.Of(s.state, s.desired, a); ok {
				got[a] = h
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("among all (-) and asked one by one (+):\n%s", diff)
		}
	})
}

// If this did not hold, a planner could publish again and again what executors
// refuse.
func TestWhatIsHeldInFlightIsNotPublishedOnThatFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		d := Plan(s.state, s.desired.Inventory, Given{
			Settled: rapid.Bool().Draw(t, "settled"), Now: noon.Add(time.Duration(rapid.Int64Range(-1e13, 1e13).Draw(t, "clock"))),
			Safeguards: Safeguards(s.state), Policy: engine.DefaultPolicy(),
		})
		var holds Holds
		for _, step := range d.Publish {
			if h, ok := holds.Of(s.state, s.desired, step.Action); ok {
				t.Fatalf("%v is published and would be refused for %s", step.Action, h.Reason)
			}
		}
	})
}

// Of a removal that may be done at once, what is left may be done too, however
// far it has come: fewer nodes are observed then, but fewer are to be removed.
func TestARemovalWithinTheBudgetIsNotStoppedHalfWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		for {
			var holds Holds
			var free []fleet.Action
			for _, a := range s.plan().Actions {
				if a.Type != fleet.DecommissionNode {
					continue
				}
				if h, _ := holds.Of(s.state, s.desired, a); h.Reason == "" {
					free = append(free, a)
				}
			}
			if len(free) == 0 {
				return
			}
			gone := rapid.SampledFrom(free).Draw(t, "removed")
			s.apply(events.TypeNodeRemoved, gone.ID, &events.NodeRemoved{Epoch: 1})
			for _, a := range free {
				if h, ok := holds.Of(s.state, s.desired, a); a != gone && ok {
					t.Fatalf("%v was free, and once %s is removed it is held: %s", a, gone.ID, h.Detail)
				}
			}
		}
	})
}

func TestThePlanIsHeldOnceForEachFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		var holds Holds
		same := func(a, b map[fleet.Action]fleet.Held) bool {
			return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
		}
		first := holds.all(s.state, s.desired)
		if !same(first, holds.all(s.state, s.desired)) {
			t.Fatal("asked twice on one fold, it was made twice")
		}
		if same(first, holds.all(s.state, NewDesired(s.desired.Inventory))) {
			t.Fatal("another inventory got the answer for the old one")
		}
		first = holds.all(s.state, s.desired)
		s.apply(events.TypeTrustPublished, "", &events.TrustPublished{})
		if same(first, holds.all(s.state, s.desired)) {
			t.Fatal("another fold got the answer for the old one")
		}
	})
}

func TestSafeguardsComeBackFromTheLogAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, want := draw(t), engine.DefaultSafeguards()
		want.RemovalMin, want.BlindMin = rapid.IntRange(0, 9).Draw(t, "removals"), rapid.IntRange(1, 9).Draw(t, "lost")
		want.LostWait = time.Duration(rapid.IntRange(0, 3600).Draw(t, "wait")) * time.Second
		s.apply(events.TypePlanDecided, "", &events.PlanDecided{Plan: "new", Safeguards: Recorded(want)})
		if diff := cmp.Diff(want, Safeguards(s.state)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestBeforeTheFirstPlanTheSafeguardsAreTheDefaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		s.apply(events.TypePlanDecided, "", &events.PlanDecided{Plan: "old"})
		if diff := cmp.Diff(engine.DefaultSafeguards(), Safeguards(s.state)); diff != "" {
			t.Fatal(diff)
		}
	})
}
