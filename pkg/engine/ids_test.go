package engine_test

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// TestIDsAreForEver pins ids: the log is full of them, so a change of the
// encoding is a break, not a refactoring.
func TestIDsAreForEver(t *testing.T) {
	prefixes := map[fleet.ActionType]string{
		fleet.EnrollNode:               "enroll-",
		fleet.IssueCredential:          "issue-",
		fleet.DecommissionNode:         "decommission-",
		fleet.DisableStrictEnforcement: "disable-strict-",
		fleet.EnableStrictEnforcement:  "enable-strict-",
	}
	for _, kind := range fleet.ActionTypes {
		id := string(engine.ActionIDFor(engine.Need{Type: kind}, 1, 1, 1))
		if !strings.HasPrefix(id, prefixes[kind]) {
			t.Errorf("%s: id %q, want prefix %q", kind, id, prefixes[kind])
		}
	}
	step := engine.Step{ActionID: engine.ActionIDFor(engine.Need{Type: fleet.EnrollNode, ID: "region/nyc/node-1"}, 1, 2, 3)}
	if want := fleet.ActionID("enroll-90769d5341d59133ac5e"); step.ActionID != want {
		t.Errorf("action id %q, want %q", step.ActionID, want)
	}
	if got, want := engine.PlanIDFor([]engine.Step{step}), fleet.PlanID("plan-5da7a7fc33254cbc1a20"); got != want {
		t.Errorf("plan id %q, want %q", got, want)
	}
}

func TestIDsAreLegalAndDistinct(t *testing.T) {
	legal := regexp.MustCompile(`^[a-z]+(-[a-z]+)?-[0-9a-f]{20}$`)
	type input struct {
		need              engine.Need
		epoch, generation uint64
		attempt           int
	}
	draw := rapid.Custom(func(t *rapid.T) input {
		return input{
			need: engine.Need{
				Type: rapid.SampledFrom(fleet.ActionTypes[:]).Draw(t, "type"),
				ID:   fleet.NodeID(rapid.SampledFrom([]string{"", "a", "ab", "a/b", "a.b", "A"}).Draw(t, "id")),
			},
			epoch:      rapid.Uint64Range(0, 3).Draw(t, "epoch"),
			generation: rapid.Uint64Range(0, 3).Draw(t, "generation"),
			attempt:    rapid.IntRange(1, 3).Draw(t, "attempt"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		idA := engine.ActionIDFor(a.need, a.epoch, a.generation, a.attempt)
		idB := engine.ActionIDFor(b.need, b.epoch, b.generation, b.attempt)
		if (idA == idB) != (a == b) {
			t.Fatalf("%v is %s, %v is %s", a, idA, b, idB)
		}
		if !legal.MatchString(string(idA)) {
			t.Fatalf("%q is not legal", idA)
		}
		ab := engine.PlanIDFor([]engine.Step{{ActionID: idA}, {ActionID: idB}})
		ba := engine.PlanIDFor([]engine.Step{{ActionID: idB}, {ActionID: idA}})
		if (ab == ba) != (a == b) {
			t.Fatalf("plans in different order: %s and %s", ab, ba)
		}
	})
}

func TestPolicyValidate(t *testing.T) {
	if err := engine.DefaultPolicy().Validate(); err != nil {
		t.Errorf("the default policy: %v", err)
	}
	err := engine.Policy{MaxInFlight: 1000, BackoffBase: -time.Second, BackoffCap: 25 * time.Hour, Jitter: math.NaN(), StuckAfter: 101}.Validate()
	if err == nil {
		t.Fatal("a policy wrong in every field is valid")
	}
	for _, field := range []string{"max_in_flight", "backoff_base", "backoff_cap", "jitter", "stuck_after"} {
		if !strings.Contains(err.Error(), field+" is ") {
			t.Errorf("the error does not report %s: %v", field, err)
		}
	}
	short := engine.DefaultPolicy()
	short.BackoffCap = short.BackoffBase - 1
	if short.Validate() == nil {
		t.Error("a cap below the base is valid")
	}
}
