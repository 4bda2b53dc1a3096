package engine_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func drawSituation(t *rapid.T) (fleet.Plan, engine.Situation, engine.Safeguards) {
	desired, observed := drawFleet(t, false)
	for i := range desired.Regions {
		desired.Regions[i].Name = rapid.SampledFrom([]string{"r", "s"}).Draw(t, "region")
	}
	desired.QuorumWidth = rapid.IntRange(1, 3).Draw(t, "quorum")
	facts := told{
		lost: map[fleet.NodeID]bool{}, penalty: map[fleet.NodeID]float64{},
		paused: map[fleet.Target]fleet.Pause{}, approved: map[fleet.NodeID]bool{},
	}
	for _, n := range observed.Nodes {
		facts.lost[n.ID] = !n.Present && rapid.Bool().Draw(t, "lost")
		facts.penalty[n.ID] = rapid.Float64Range(0, 5).Draw(t, "penalty")
		facts.approved[n.ID] = rapid.Bool().Draw(t, "approved")
	}
	targets := []fleet.Target{{Scope: fleet.ScopeFleet}, {Scope: fleet.ScopeRegion, Region: "r"}, {Scope: fleet.ScopeNode, ID: "n/1"}}
	for _, target := range targets {
		if rapid.IntRange(0, 5).Draw(t, "paused") == 0 {
			facts.paused[target] = fleet.Pause{Target: target, Actor: "kim", Since: noon}
		}
	}
	g := engine.DefaultSafeguards()
	g.RemovalMin = rapid.IntRange(0, 5).Draw(t, "removal_min")
	g.BlindMin = rapid.IntRange(1, 3).Draw(t, "blind_min")
	return engine.Reconcile(desired, observed), engine.Situation{
		Desired: desired, Observed: observed, Facts: facts, Settled: rapid.Bool().Draw(t, "settled"), Now: noon,
	}, g
}

func TestHoldDividesThePlan(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan, s, g := drawSituation(rt)
		before := slices.Clone(plan.Actions)
		allowed, held := engine.Hold(plan, s, g)
		rest, holds := allowed.Actions, held
		for _, a := range plan.Actions {
			switch {
			case len(rest) > 0 && rest[0] == a:
				rest = rest[1:]
			case len(holds) > 0 && holds[0].Action == a:
				holds = holds[1:]
			default:
				rt.Fatalf("%v is neither next allowed nor next held", a)
			}
		}
		if len(rest) != 0 || len(holds) != 0 {
			rt.Fatalf("more than the plan: %v, %v", rest, holds)
		}
		if diff := cmp.Diff(before, plan.Actions); diff != "" {
			rt.Fatalf("the plan was changed:\n%s", diff)
		}
		again, heldAgain := engine.Hold(plan, s, g)
		if diff := cmp.Diff(allowed, again) + cmp.Diff(held, heldAgain); diff != "" {
			rt.Fatalf("decided again it differs:\n%s", diff)
		}
	})
}

// The safeguards told a second time, each as a law that shares nothing with
// the engine.
func TestWhatHoldMayNeverLetPass(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan, s, g := drawSituation(rt)
		facts := s.Facts.(told)
		allowed, _ := engine.Hold(plan, s, g)
		blind := naiveBlind(s, g)
		_, stopped := facts.paused[fleet.Target{Scope: fleet.ScopeFleet}]
		for _, a := range allowed.Actions {
			removes, enforces := a.Type == fleet.DecommissionNode, a.Type == fleet.EnableStrictEnforcement
			switch {
			case stopped && a.Type != fleet.DisableStrictEnforcement:
				rt.Fatalf("%v passes a paused fleet", a)
			case (removes || enforces) && (!s.Settled || len(blind) > 0):
				rt.Fatalf("%v passes, settled %v, blind %v", a, s.Settled, blind)
			case a.Type == fleet.EnrollNode && facts.lost[a.ID] && (blind["*"] || blind[regionOf(s.Desired, a.ID)]):
				rt.Fatalf("%v passes, blind %v", a, blind)
			case a.Type == fleet.EnrollNode && facts.penalty[a.ID] > g.FlapThreshold:
				rt.Fatalf("%v passes with a penalty of %v", a, facts.penalty[a.ID])
			}
		}
		n := allowed.Counts()[fleet.DecommissionNode]
		over := n > max(g.RemovalMin, len(s.Observed.Nodes)/50) || n > 0 && n == len(s.Observed.Nodes)
		for _, a := range allowed.Actions {
			if over && a.Type == fleet.DecommissionNode && !facts.approved[a.ID] {
				rt.Fatalf("%v passes among %d without approval", a, n)
			}
		}
	})
}

func TestRelaxingIsNeverHeld(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan, s, g := drawSituation(rt)
		_, held := engine.Hold(plan, s, g)
		for _, h := range held {
			if h.Type == fleet.DisableStrictEnforcement || h.Reason == "" {
				rt.Fatalf("held %+v", h)
			}
		}
	})
}

func regionOf(inv *fleet.Inventory, id fleet.NodeID) string {
	for _, r := range inv.Regions {
		for _, n := range r.Nodes {
			if n.ID == id {
				return r.Name
			}
		}
	}
	return ""
}

// naiveBlind is which regions are blind; "*" is the fleet.
func naiveBlind(s engine.Situation, g engine.Safeguards) map[string]bool {
	lost, desired := map[string]int{}, map[string]int{}
	for _, r := range s.Desired.Regions {
		for _, n := range r.Nodes {
			for _, scope := range []string{"*", r.Name} {
				desired[scope]++
				if s.Facts.(told).lost[n.ID] {
					lost[scope]++
				}
			}
		}
	}
	blind := map[string]bool{}
	for scope, n := range lost {
		if n >= g.BlindMin && float64(n)/float64(desired[scope]) > g.BlindFraction {
			blind[scope] = true
		}
	}
	return blind
}
