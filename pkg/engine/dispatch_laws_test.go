package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// drawLedger draws a ledger for the needs of a plan and for other nodes.
func drawLedger(t *rapid.T, plan fleet.Plan) ledger {
	l := ledger{
		inFlight: map[fleet.NodeID]fleet.ActionID{},
		attempts: map[engine.Need]engine.Attempts{},
		epochs:   map[fleet.NodeID]uint64{},
	}
	for _, a := range plan.Actions {
		l.epochs[a.ID] = rapid.Uint64Range(0, 3).Draw(t, "epoch")
		switch rapid.IntRange(0, 3).Draw(t, "past") {
		case 0:
			l.inFlight[a.ID] = "enroll-0"
		case 1:
			l.attempts[a] = engine.Attempts{
				Published:   rapid.IntRange(1, 5).Draw(t, "published"),
				Failures:    rapid.IntRange(0, 70).Draw(t, "failures"),
				LastOutcome: noon.Add(-time.Duration(rapid.IntRange(0, 400).Draw(t, "ago")) * time.Second),
				LastRefused: rapid.Bool().Draw(t, "refused"),
			}
		}
	}
	l.outstanding = len(l.inFlight) + rapid.IntRange(0, 3).Draw(t, "elsewhere")
	return l
}

func drawPolicy(t *rapid.T) engine.Policy {
	policy := engine.DefaultPolicy()
	policy.MaxInFlight = rapid.IntRange(1, 12).Draw(t, "max_in_flight")
	return policy
}

func TestDispatchLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := engine.Reconcile(drawFleet(t, rapid.Bool().Draw(t, "repeats")))
		l, policy := drawLedger(t, plan), drawPolicy(t)
		got := engine.Dispatch(plan, l, 1, policy, noon)

		if n := len(got.Publish); n > 0 && l.outstanding+n > policy.MaxInFlight {
			t.Fatalf("%d outstanding and %d published, at most %d may be", l.outstanding, n, policy.MaxInFlight)
		}
		busy := map[fleet.NodeID]bool{}
		ids := map[fleet.ActionID]bool{}
		for _, step := range got.Publish {
			if _, before := l.inFlight[step.ID]; before || busy[step.ID] || ids[step.ActionID] {
				t.Fatalf("second action in flight for %q: %v", step.ID, step)
			}
			busy[step.ID], ids[step.ActionID] = true, true
		}
		checkDivides(t, plan, got)
		checkCapKeepsOrder(t, plan, got)
		checkWake(t, got)
		if again := engine.Dispatch(plan, l, 1, policy, noon); !cmp.Equal(again, got) {
			t.Fatalf("decided again (-first +again):\n%s", cmp.Diff(got, again))
		}
	})
}

// checkDivides: walking the plan, each action is the next published or the
// next held one, and nothing is left over.
func checkDivides(t *rapid.T, plan fleet.Plan, got engine.Dispatched) {
	publish, held := got.Publish, got.Held
	for _, a := range plan.Actions {
		switch {
		case len(publish) > 0 && publish[0].Action == a:
			publish = publish[1:]
		case len(held) > 0 && held[0].Action == a:
			held = held[1:]
		default:
			t.Fatalf("%v is neither the next published nor the next held", a)
		}
	}
	if len(publish)+len(held) > 0 {
		t.Fatalf("not in the plan: %v %v", publish, held)
	}
}

// checkCapKeepsOrder: nothing is published that stands in a later phase than
// an action held for the cap.
func checkCapKeepsOrder(t *rapid.T, plan fleet.Plan, got engine.Dispatched) {
	for _, h := range got.Held {
		for _, step := range got.Publish {
			if h.Reason == engine.ReasonMaxInFlight && step.Type.Phase() > h.Type.Phase() {
				t.Fatalf("%v overtakes %v", step.Action, h.Action)
			}
		}
	}
}

// checkWake: something wakes exactly when something backs off, and later than now.
func checkWake(t *rapid.T, got engine.Dispatched) {
	backingOff := false
	for _, h := range got.Held {
		backingOff = backingOff || h.Reason == engine.ReasonBackingOff
	}
	if backingOff != got.Wake.After(noon) || !backingOff && !got.Wake.IsZero() {
		t.Fatalf("wake at %v; backing off: %v", got.Wake, backingOff)
	}
}

// TestBackoffEnds: a need alone is held before its wake, published at it, and
// waits at least the doubled base and at most the jitter longer.
func TestBackoffEnds(t *testing.T) {
	policy := engine.DefaultPolicy()
	plan := fleet.Plan{Actions: []fleet.Action{enrollA}}
	rapid.Check(t, func(t *rapid.T) {
		failures := rapid.IntRange(1, 100).Draw(t, "failures")
		l := ledger{
			attempts: map[engine.Need]engine.Attempts{enrollA: failed(failures)},
			epochs:   map[fleet.NodeID]uint64{"a": rapid.Uint64().Draw(t, "epoch")},
		}
		wake := engine.Dispatch(plan, l, 1, policy, noon).Wake
		least := policy.BackoffCap
		if failures < 10 {
			least = min(least, policy.BackoffBase<<(failures-1))
		}
		if wait := wake.Sub(noon); wait < least || wait > least*12/10 {
			t.Fatalf("waits %v, want %v and at most a fifth more", wait, least)
		}
		if early := engine.Dispatch(plan, l, 1, policy, wake.Add(-1)); len(early.Publish) != 0 {
			t.Fatal("published before the wait was over")
		}
		if due := engine.Dispatch(plan, l, 1, policy, wake); len(due.Publish) != 1 {
			t.Fatal("not published when the wait was over")
		}
	})
}

// TestRepeatedDispatchDrainsThePlan: with outcomes coming in, everything the
// plan wants is published in the end.
func TestRepeatedDispatchDrainsThePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := engine.Reconcile(drawFleet(t, false))
		policy := drawPolicy(t)
		for range len(plan.Actions) {
			got := engine.Dispatch(plan, ledger{}, 1, policy, noon)
			plan = fleet.Plan{}
			for _, h := range got.Held {
				plan.Actions = append(plan.Actions, h.Action)
			}
		}
		if !plan.Empty() {
			t.Fatalf("never published: %v", plan.Actions)
		}
	})
}

// TestJitterSpreads: what failed at the same moment is not tried at the same
// moment.
func TestJitterSpreads(t *testing.T) {
	wakes := map[time.Time]bool{}
	for epoch := range uint64(50) {
		l := ledger{
			attempts: map[engine.Need]engine.Attempts{enrollA: failed(1)},
			epochs:   map[fleet.NodeID]uint64{"a": epoch},
		}
		plan := fleet.Plan{Actions: []fleet.Action{enrollA}}
		wakes[engine.Dispatch(plan, l, 1, engine.DefaultPolicy(), noon).Wake] = true
	}
	if len(wakes) < 50 {
		t.Errorf("50 needs wake at only %d moments", len(wakes))
	}
}
