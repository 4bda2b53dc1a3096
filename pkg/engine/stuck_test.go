package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// because is what the ledger knows after n failures in a row that said why.
func because(n int, why string) engine.Attempts {
	a := failed(n)
	a.LastError = why
	return a
}

func TestStuckNeeds(t *testing.T) {
	for does, c := range map[string]struct {
		plan   []fleet.Action
		ledger ledger
		after  int
		want   []engine.Stuck
	}{
		"what never failed is not stuck": {plan: []fleet.Action{enrollA}},
		"nor is what failed once less than the policy says": {
			plan:   []fleet.Action{enrollA},
			ledger: ledger{attempts: map[engine.Need]engine.Attempts{enrollA: failed(2)}},
		},
		"three in a row are stuck where the policy does not say otherwise, in plan order": {
			plan: []fleet.Action{issueC, enrollB, enrollA},
			ledger: ledger{attempts: map[engine.Need]engine.Attempts{
				enrollA: because(3, "handler_error: no"), issueC: because(4, "odd: very"),
			}},
			want: []engine.Stuck{
				{Action: issueC, Failures: 4, LastError: "odd: very", LastOutcome: noon, NextAttempt: after(60)},
				{Action: enrollA, Failures: 3, LastError: "handler_error: no", LastOutcome: noon, NextAttempt: after(40)},
			},
		},
		"while it is tried again it stays stuck, and no next attempt is due": {
			plan: []fleet.Action{enrollA},
			ledger: ledger{
				inFlight: map[fleet.NodeID]fleet.ActionID{"a": "enroll-4"},
				attempts: map[engine.Need]engine.Attempts{enrollA: because(3, "odd: very")},
			},
			want: []engine.Stuck{{Action: enrollA, Failures: 3, LastError: "odd: very", LastOutcome: noon}},
		},
		"where a person wants it retried, it is stuck all the same, and due since it failed": {
			plan:   []fleet.Action{enrollA},
			ledger: ledger{attempts: map[engine.Need]engine.Attempts{enrollA: {Failures: 3, LastOutcome: noon, Retry: true}}},
			want:   []engine.Stuck{{Action: enrollA, Failures: 3, LastOutcome: noon, NextAttempt: noon}},
		},
		"a need that the plan no longer has is not stuck": {
			ledger: ledger{attempts: map[engine.Need]engine.Attempts{enrollA: failed(9)}},
		},
		"the flip can be stuck as well": {
			plan:   []fleet.Action{enforce},
			ledger: ledger{attempts: map[engine.Need]engine.Attempts{enforce: failed(1)}},
			after:  1,
			want:   []engine.Stuck{{Action: enforce, Failures: 1, LastOutcome: noon, NextAttempt: after(10)}},
		},
	} {
		t.Run(does, func(t *testing.T) {
			policy := noJitter
			policy.StuckAfter = c.after
			got := engine.StuckNeeds(fleet.Plan{Actions: c.plan}, c.ledger, 7, policy)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}
}

// What status shows as the next attempt is what planners do.
func TestAStuckNeedIsPublishedWhenItsNextAttemptIsDue(t *testing.T) {
	policy := engine.DefaultPolicy()
	plan := fleet.Plan{Actions: []fleet.Action{enrollA}}
	l := ledger{attempts: map[engine.Need]engine.Attempts{enrollA: failed(5)}}
	due := engine.StuckNeeds(plan, l, 7, policy)[0].NextAttempt
	if d := engine.Dispatch(plan, l, 7, policy, due.Add(-time.Nanosecond)); len(d.Publish) != 0 || !d.Wake.Equal(due) {
		t.Errorf("just before %s: published %v, wakes at %s", due, d.Publish, d.Wake)
	}
	if d := engine.Dispatch(plan, l, 7, policy, due); len(d.Publish) != 1 {
		t.Errorf("at %s: held %v", due, d.Held)
	}
}

// Hundreds of details go into one message, and a panic says a lot.
func TestTheDetailOfABackoffIsShort(t *testing.T) {
	l := ledger{attempts: map[engine.Need]engine.Attempts{
		enrollA: because(1, "handler_panic: ouch\ngoroutine 1"), enrollB: because(1, strings.Repeat("é", 5000)),
	}}
	d := engine.Dispatch(fleet.Plan{Actions: []fleet.Action{enrollA, enrollB}}, l, 7, noJitter, after(1))
	if got, want := d.Held[0].Detail, "until 2026-01-02T12:00:10Z, after 1 failure: handler_panic: ouch…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := d.Held[1].Detail; len(got) > 400 || !strings.HasSuffix(got, "é…") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
