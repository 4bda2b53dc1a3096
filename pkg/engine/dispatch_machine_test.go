package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestDispatchAgreesWithItsLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &dispatchWorld{now: noon, generation: 1, waits: map[fleet.ActionID]time.Duration{}}
		w.drawPolicy(t)
		w.drawPlan(t)
		moves := map[string]func(*rapid.T){
			"":                  w.check,
			"a plan":            w.drawPlan,
			"a handmade plan":   w.drawHandmade,
			"publish":           w.publish,
			"publish, again":    w.publish,
			"an outcome":        w.end,
			"an outcome, again": w.end,
			"the clock":         w.passes,
			"until the wake":    w.wake,
			"keeps failing":     w.keepsFailing,
			"a retry":           w.retry,
			"a removal": func(t *rapid.T) {
				w.removals = append(w.removals, drawNode(t))
			},
			"an inventory": func(*rapid.T) { w.generation++ },
			"a policy":     w.drawPolicy,
		}
		for range 3 { // rapid's thirty steps are too few for much to meet
			t.Repeat(moves)
		}
	})
}

// check compares a decision with the oracle; nothing is published by it.
func (w *dispatchWorld) check(t *rapid.T) {
	before := slices.Clone(w.plan.Actions)
	got := engine.Dispatch(w.plan, w, w.generation, w.policy, w.now)
	if !slices.Equal(before, w.plan.Actions) {
		t.Fatalf("the plan was changed from %v to %v", before, w.plan.Actions)
	}
	want := w.decide(t)
	if !slices.Equal(want.Publish, got.Publish) || !slices.Equal(want.Held, got.Held) || !want.Wake.Equal(got.Wake) {
		t.Fatalf("oracle:\n%+v\nDispatch:\n%+v\n%+v", want, got, w)
	}
}

// publish puts what Dispatch says onto the log, and holds the log to what is
// promised of it.
func (w *dispatchWorld) publish(t *rapid.T) {
	got := engine.Dispatch(w.plan, w, w.generation, w.policy, w.now)
	for _, step := range got.Publish {
		if step.ActionID != engine.ActionIDFor(step.Action, step.Epoch, step.Generation, step.Attempt) {
			t.Fatalf("%+v has an id that does not follow from it", step)
		}
		for _, old := range w.published {
			same := old.Action == step.Action && old.Epoch == step.Epoch && old.Generation == step.Generation && old.Attempt == step.Attempt
			if same || old.ActionID == step.ActionID {
				t.Fatalf("published twice: %+v, %+v", old, step)
			}
			if old.outcome == "" && old.ID == step.ID {
				t.Fatalf("two in flight for %q: %+v, %+v", step.ID, old, step)
			}
		}
		w.published = append(w.published, attempt{Step: step})
	}
	if n := w.Outstanding(); n > w.policy.MaxInFlight && len(got.Publish) > 0 {
		t.Fatalf("%d are in flight and at most %d may be", n, w.policy.MaxInFlight)
	}
	if again := engine.Dispatch(w.plan, w, w.generation, w.policy, w.now); len(again.Publish) > 0 {
		t.Fatalf("published at once, with no outcome and at the same time: %+v", again.Publish)
	}
}

func (w *dispatchWorld) drawPlan(t *rapid.T) {
	desired, observed := drawFleet(t, false)
	w.plan = engine.Reconcile(desired, observed)
}

// drawHandmade draws what Reconcile never plans: several actions for a node,
// phases out of order.
func (w *dispatchWorld) drawHandmade(t *rapid.T) {
	w.plan = fleet.Plan{Actions: rapid.SliceOfN(rapid.Custom(drawNeed), 0, 8).Draw(t, "actions")}
}

func drawNode(t *rapid.T) fleet.NodeID {
	return fleet.NodeID(fmt.Sprintf("n/%d", rapid.IntRange(0, 4).Draw(t, "node")))
}

func drawNeed(t *rapid.T) fleet.Action {
	a := fleet.Action{Type: rapid.SampledFrom(fleet.ActionTypes[:]).Draw(t, "type")}
	if a.Type.ConcernsNode() {
		a.ID = drawNode(t)
	}
	return a
}

// end gives an action in flight an outcome, or several of them the same.
func (w *dispatchWorld) end(t *rapid.T) {
	outcome := rapid.SampledFrom([]string{"succeeded", "failed", "failed", "refused"}).Draw(t, "outcome")
	all := rapid.Bool().Draw(t, "all")
	for i := range w.published {
		if w.published[i].outcome == "" && (all || rapid.Bool().Draw(t, "this")) {
			w.published[i].outcome, w.published[i].ended = outcome, w.now
		}
	}
}

// keepsFailing lets a need that is planned fail some times more, as it would
// in the course of days.
func (w *dispatchWorld) keepsFailing(t *rapid.T) {
	if w.plan.Empty() {
		return
	}
	need := rapid.SampledFrom(w.plan.Actions).Draw(t, "need")
	if _, _, busy := w.InFlight(need.ID); busy {
		return
	}
	for range rapid.SampledFrom([]int{1, 2, 3, 5, 12}).Draw(t, "times") {
		w.published = append(w.published, attempt{Step: w.next(need), outcome: "failed", ended: w.now})
	}
}

// retry is a person who does not want to wait for the next attempt at what has
// ended, whatever came of it.
func (w *dispatchWorld) retry(t *rapid.T) {
	for i := range w.published {
		if a := &w.published[i]; a.outcome != "" && rapid.IntRange(0, 2).Draw(t, "retried") == 0 {
			a.retried = true
		}
	}
}

func (w *dispatchWorld) passes(t *rapid.T) {
	w.now = w.now.Add(rapid.SampledFrom([]time.Duration{1, time.Second, 2 * time.Second, 10 * time.Second, time.Minute, time.Hour}).Draw(t, "passes"))
}

// wake goes to the moment at which Dispatch asks to be called again, or just
// before it.
func (w *dispatchWorld) wake(t *rapid.T) {
	at := engine.Dispatch(w.plan, w, w.generation, w.policy, w.now).Wake
	if early := at.Add(-1); rapid.Bool().Draw(t, "early") && early.After(w.now) {
		w.now = early
	} else if !at.IsZero() {
		w.now = at
	}
}

func (w *dispatchWorld) drawPolicy(t *rapid.T) {
	base := rapid.SampledFrom([]time.Duration{1, time.Second, 10 * time.Second}).Draw(t, "base")
	w.policy = engine.Policy{
		MaxInFlight: rapid.SampledFrom([]int{1, 2, 3, 5, 256}).Draw(t, "max_in_flight"), BackoffBase: base,
		BackoffCap: base * time.Duration(rapid.SampledFrom([]int{1, 3, 4, 60}).Draw(t, "cap")),
		Jitter:     rapid.SampledFrom([]float64{0, 0.2, 1}).Draw(t, "jitter"),
	}
	if err := w.policy.Validate(); err != nil {
		t.Fatal(err)
	}
	clear(w.waits)
}

func (w *dispatchWorld) String() string {
	text := fmt.Sprintf("%v, generation %d, %+v\nplan %v\nremovals %v\n", w.now, w.generation, w.policy, w.plan, w.removals)
	for _, a := range slices.Backward(w.published) {
		text += fmt.Sprintf("%+v\n", a)
	}
	return text
}
