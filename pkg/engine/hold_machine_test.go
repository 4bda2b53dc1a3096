package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestHoldAgreesWithItsTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &holdWorld{now: noon, losses: map[fleet.NodeID][]time.Time{}, lost: map[fleet.NodeID]bool{}, approved: map[fleet.NodeID]bool{}}
		w.desired, w.observed = drawFleet(t, false)
		w.drawInventory(t)
		w.drawThresholds(t)
		w.settled = rapid.IntRange(0, 3).Draw(t, "settled") > 0
		moves := map[string]func(*rapid.T){
			"":               w.check,
			"all is well":    w.calm,
			"nodes go":       w.goes,
			"a storm":        w.storm,
			"nodes come":     w.comes,
			"one is gone":    w.removed,
			"the clock":      w.passes,
			"a person":       w.person,
			"an approval":    w.approve,
			"an inventory":   w.otherInventory,
			"thresholds":     w.drawThresholds,
			"settled":        func(*rapid.T) { w.settled = !w.settled },
			"another strict": func(*rapid.T) { w.observed.StrictEnforced = !w.observed.StrictEnforced },
		}
		for range 3 { // rapid's thirty steps are too few for much to meet
			t.Repeat(moves)
		}
	})
}

// check compares all that is asked about a plan with the oracle, also for a
// fleet of which no log tells.
func (w *holdWorld) check(t *rapid.T) {
	w.compare(t, w.situation())
	silent := *w
	silent.losses, silent.lost, silent.approved, silent.pauses = nil, nil, nil, nil
	s := silent.situation()
	s.Facts = nil
	silent.compare(t, s)
}

func (w *holdWorld) compare(t *rapid.T, s engine.Situation) {
	plan := engine.Reconcile(w.desired, w.observed)
	allowed, held := engine.Hold(plan, s, w.safeguards)
	var free []fleet.Action
	var want []fleet.Held
	for _, a := range plan.Actions {
		if reason := w.why(plan, a); reason != "" {
			want = append(want, fleet.Held{Action: a, Reason: reason})
		} else {
			free = append(free, a)
		}
	}
	if diff := cmp.Diff(free, allowed.Actions) + cmp.Diff(reasonsOf(want), reasonsOf(held)); diff != "" {
		t.Fatalf("(-oracle +Hold):\n%s\n%+v", diff, w)
	}
	for _, h := range held {
		if !w.tells(plan, h) {
			t.Fatalf("%v is held for %s, of which %q does not tell\n%+v", h.Action, h.Reason, h.Detail, w)
		}
	}
	w.checkApproval(t, plan, s)
	w.checkEnds(t, held, s)
}

func (w *holdWorld) checkApproval(t *rapid.T, plan fleet.Plan, s engine.Situation) {
	want := fleet.ApprovalID("")
	if w.overBudget(plan) {
		want = engine.ApprovalIDFor(plan)
	}
	if got, needed := engine.NeedsApproval(plan, s, w.safeguards); got != want || needed != (want != "") {
		t.Fatalf("needs the approval %q, %v, by the oracle %q", got, needed, want)
	}
}

// checkEnds compares the first end, which is rounded up to a nanosecond of
// a half-life that may be a day; at that moment the hold must be over.
func (w *holdWorld) checkEnds(t *rapid.T, held []fleet.Held, s engine.Situation) {
	var first time.Time
	for _, h := range held {
		if at := w.ends(h); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	got := engine.HoldEnds(held, s, w.safeguards)
	if got.IsZero() != first.IsZero() || got.Sub(first).Abs() > time.Microsecond {
		t.Fatalf("the first hold ends at %s, by the oracle at %s: %v", got, first, held)
	}
	if got.IsZero() {
		return
	}
	s.Now = got
	_, later := engine.Hold(fleet.Plan{Actions: actionsOf(held)}, s, w.safeguards)
	if reasonsOf(later) == reasonsOf(held) {
		t.Fatalf("at %s, when the first hold should end, all are held as before: %v", got, held)
	}
}

func actionsOf(held []fleet.Held) (actions []fleet.Action) {
	for _, h := range held {
		actions = append(actions, h.Action)
	}
	return actions
}

// calm ends all that is wrong but who is observed and not desired.
func (w *holdWorld) calm(*rapid.T) {
	w.settled, w.pauses = true, nil
	clear(w.lost)
	for i := range w.observed.Nodes {
		w.observed.Nodes[i].Present, w.observed.Nodes[i].CanSign = true, true
	}
	for node := range w.desired.Nodes() {
		if o := w.observedAs(node.ID); o.ID == "" {
			w.observed.Nodes = append(w.observed.Nodes, fleet.ObservedNode{ID: node.ID, Present: true, CanSign: true})
		}
	}
}

// lose takes a present node away without a farewell.
func (w *holdWorld) lose(n *fleet.ObservedNode) {
	if n.Present {
		n.Present, w.lost[n.ID] = false, true
		w.losses[n.ID] = append(w.losses[n.ID], w.now)
	}
}

func (w *holdWorld) goes(t *rapid.T) {
	for i := range w.observed.Nodes {
		switch rapid.IntRange(0, 5).Draw(t, "goes") {
		case 0:
			w.lose(&w.observed.Nodes[i])
		case 1:
			w.observed.Nodes[i].Present = false // a farewell, if it was there
		}
	}
}

// storm loses all desired nodes of a region, or but one, a few times.
func (w *holdWorld) storm(t *rapid.T) {
	region := rapid.SampledFrom([]string{"r", "s", "t"}).Draw(t, "region")
	times := rapid.IntRange(1, 4).Draw(t, "times")
	for i := range w.observed.Nodes {
		n := &w.observed.Nodes[i]
		if regionOf(w.desired, n.ID) != region || rapid.IntRange(0, 4).Draw(t, "spared") == 0 {
			continue
		}
		for range times {
			n.Present, w.lost[n.ID] = true, false
			w.lose(n)
		}
	}
}

func (w *holdWorld) comes(t *rapid.T) {
	id := fleet.NodeID(fmt.Sprintf("n/%d", rapid.IntRange(0, 12).Draw(t, "comes")))
	signs := rapid.IntRange(0, 3).Draw(t, "signs") > 0
	w.lost[id] = false
	for i := range w.observed.Nodes {
		if n := &w.observed.Nodes[i]; n.ID == id {
			n.Present, n.CanSign = true, signs
			return
		}
	}
	w.observed.Nodes = append(w.observed.Nodes, fleet.ObservedNode{ID: id, Present: true, CanSign: signs})
}

func (w *holdWorld) removed(t *rapid.T) {
	if len(w.observed.Nodes) == 0 {
		return
	}
	at := rapid.IntRange(0, len(w.observed.Nodes)-1).Draw(t, "removed")
	id := w.observed.Nodes[at].ID
	w.observed.Nodes = slices.Delete(w.observed.Nodes, at, at+1)
	delete(w.losses, id)
	delete(w.lost, id)
	delete(w.approved, id)
}

func (w *holdWorld) passes(t *rapid.T) {
	w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 4 * time.Second, 5 * time.Second, time.Minute, 10 * time.Minute}).Draw(t, "passes"))
}

func (w *holdWorld) person(t *rapid.T) {
	target := rapid.SampledFrom([]fleet.Target{
		{Scope: fleet.ScopeFleet}, {Scope: fleet.ScopeRegion, Region: "r"}, {Scope: fleet.ScopeRegion, Region: "s"},
		{Scope: fleet.ScopeNode, ID: "n/1"}, {Scope: fleet.ScopeNode, ID: "n/2"}, {Scope: fleet.ScopeNode, ID: "n/3"},
	}).Draw(t, "target")
	if _, paused := w.Paused(target); paused {
		w.pauses = slices.DeleteFunc(w.pauses, func(p fleet.Pause) bool { return p.Target == target })
		return
	}
	w.pauses = append(w.pauses, fleet.Pause{Target: target, Actor: "kim", Since: w.now})
}

// approve is for all that the plan would remove now, or all but one.
func (w *holdWorld) approve(t *rapid.T) {
	plan := engine.Reconcile(w.desired, w.observed)
	spared := -1
	if !plan.Empty() && rapid.Bool().Draw(t, "but one") {
		spared = rapid.IntRange(0, len(plan.Actions)-1).Draw(t, "spared")
	}
	for i, a := range plan.Actions {
		w.approved[a.ID] = a.Type == fleet.DecommissionNode && i != spared
	}
}

func (w *holdWorld) otherInventory(t *rapid.T) {
	w.desired, _ = drawFleet(t, false)
	w.drawInventory(t)
	clear(w.approved)
}

func (w *holdWorld) drawInventory(t *rapid.T) {
	for i := range w.desired.Regions {
		w.desired.Regions[i].Name = rapid.SampledFrom([]string{"r", "s", "t"}).Draw(t, "region")
	}
	w.desired.QuorumWidth = rapid.IntRange(1, 3).Draw(t, "quorum")
}

func (w *holdWorld) drawThresholds(t *rapid.T) {
	w.removeable = rapid.SampledFrom([]int{0, 2, 20, 25, 50, 100}).Draw(t, "removal percent")
	w.blinded = rapid.SampledFrom([]int{0, 20, 50, 55, 60, 100}).Draw(t, "blind percent")
	w.safeguards = engine.Safeguards{
		RemovalMin: rapid.IntRange(0, 5).Draw(t, "removal_min"), RemovalFraction: float64(w.removeable) / 100,
		BlindMin: rapid.IntRange(1, 4).Draw(t, "blind_min"), BlindFraction: float64(w.blinded) / 100,
		LostWait:      time.Duration(rapid.SampledFrom([]int{0, 5, 60}).Draw(t, "lost_wait")) * time.Second,
		FlapThreshold: rapid.SampledFrom([]float64{1, 1.5, 3, 15}).Draw(t, "flap_threshold"),
		FlapHalfLife:  rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 10 * time.Minute, 24 * time.Hour}).Draw(t, "flap_half_life"),
	}
	if err := w.safeguards.Validate(); err != nil {
		t.Fatal(err)
	}
}
