package decide

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
)

func drawGiven(t *rapid.T) Given {
	duration := func(label string, from, to time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(int64(from), int64(to)).Draw(t, label))
	}
	base := duration("base", 1, time.Hour)
	g := Given{
		Settled: rapid.Bool().Draw(t, "settled"),
		Now:     noon.Add(duration("now", -1e18, 1e18)),
		Safeguards: engine.Safeguards{
			RemovalMin: rapid.IntRange(0, 9).Draw(t, "removal_min"), RemovalFraction: rapid.Float64Range(0, 1).Draw(t, "removal_fraction"),
			BlindFraction: rapid.Float64Range(0, 1).Draw(t, "blind_fraction"), BlindMin: rapid.IntRange(1, 3).Draw(t, "blind_min"),
			LostWait: duration("lost_wait", 0, time.Hour), FlapThreshold: rapid.Float64Range(1, 15).Draw(t, "flap_threshold"),
			FlapHalfLife: duration("half_life", time.Second, 24*time.Hour),
		},
		Policy: engine.Policy{
			MaxInFlight: rapid.IntRange(1, 999).Draw(t, "max_in_flight"), BackoffBase: base,
			BackoffCap: duration("cap", base, engine.MaxBackoff), Jitter: rapid.Float64Range(0, 1).Draw(t, "jitter"),
			StuckAfter: rapid.IntRange(0, 100).Draw(t, "stuck_after"),
		},
	}
	if !g.Settled {
		g.Waiting = rapid.String().Draw(t, "waiting")
	}
	if rapid.Bool().Draw(t, "sight was lacking") {
		g.SightSince = g.Now.Add(-duration("sight", 0, time.Hour))
	}
	return g
}

// What a planner decided by comes back from the bytes of the log to the last
// nanosecond and the last bit.
func TestWhatIsGivenComesBackFromTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawGiven(t)
		text, err := json.Marshal(want.Record())
		if err != nil {
			t.Fatal(err)
		}
		var back events.PlanDecided
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if got := GivenBy(&back); got != want {
			t.Fatalf("given (-), and read back (+):\n%s", cmp.Diff(want, got))
		}
		if back.RuleVersion != engine.RuleVersion {
			t.Fatalf("rule version %q", back.RuleVersion)
		}
	})
}

// Plans of before there were these two are read as they were meant.
func TestAPlanMayLackWhatWasNotRecordedYet(t *testing.T) {
	given := Given{Settled: true, Now: noon, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy()}
	d := given.Record()
	d.Plan, d.InventoryDigest, d.Generation = "p", "sha256:00", 1
	m, err := events.Encode(events.DefaultSubjects(), &events.Event{
		ID: "p", Source: events.SourcePlanner, Type: events.TypePlanDecided, Time: noon, Data: d,
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(m.Data); strings.Contains(text, "waiting") || strings.Contains(text, "sight_since") {
		t.Errorf("what there is not is written: %s", text)
	}
	e, err := events.Decode(events.DefaultSubjects(), m)
	if err != nil {
		t.Fatal(err)
	}
	if got := GivenBy(e.Data.(*events.PlanDecided)); got != given {
		t.Errorf("got %+v", got)
	}
}

func TestARecordedTimeMayHaveAZone(t *testing.T) {
	zone := time.FixedZone("there", 5*3600)
	g := GivenBy(&events.PlanDecided{DecidedAt: noon.In(zone), SightSince: noon.In(zone)})
	if g.Now != noon || g.SightSince != noon {
		t.Errorf("%+v", g)
	}
	if g := GivenBy(new(events.PlanDecided)); !g.SightSince.IsZero() {
		t.Errorf("%+v", g)
	}
}

// Decided on the same fold by what the log has of it, a plan is the same.
func TestAPlanIsDecidedAgainFromWhatIsRecorded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, given := draw(t), drawGiven(t)
		rule, ok := RuleFor(given.Record().RuleVersion)
		if !ok {
			t.Fatal("the version that planners record is not known")
		}
		want := Plan(s.state, s.desired.Inventory, given)
		again := GivenBy(given.Record())
		if diff := cmp.Diff(want, rule.Whole(s.state, s.desired.Inventory, again)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(want, rule.Begin().Plan(s.state, s.desired, again), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAVersionThatNobodyKnowsHasNoRule(t *testing.T) {
	if _, ok := RuleFor("0"); ok {
		t.Error("there is a rule of version 0")
	}
	if _, ok := RuleFor(engine.RuleVersion); !ok || len(RuleVersions()) == 0 {
		t.Error("there is no rule of the present version")
	}
}
