package audit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func replay(t *testing.T, c audit.Change) (points []audit.Point, divergences []audit.Divergence, st *projection.State) {
	t.Helper()
	st, err := audit.Replay(t.Context(), tell(t), c, audit.Show{Point: func(_ *projection.State, p audit.Point) error {
		points = append(points, p)
		if d, differs := p.Diverges(); differs {
			divergences = append(divergences, d)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return points, divergences, st
}

func set[T any](v T) *T { return &v }

func TestAReplayWithoutAChangeDecidesNothing(t *testing.T) {
	points, divergences, _ := replay(t, audit.Change{})
	if len(points) == 0 || len(divergences) > 0 || points[0].Would != nil {
		t.Errorf("%d points, %v", len(points), divergences)
	}
}

// The thresholds that there were lead to the plans that there are.
func TestAReplayWithTheSameThresholdsDivergesNowhere(t *testing.T) {
	g := engine.DefaultSafeguards()
	points, divergences, _ := replay(t, audit.Change{Thresholds: audit.Thresholds{RemovalMin: &g.RemovalMin}})
	if len(divergences) > 0 || points[0].Would == nil {
		t.Errorf("%v", divergences)
	}
}

func TestOtherThresholdsPublishOtherwise(t *testing.T) {
	_, divergences, _ := replay(t, audit.Change{Thresholds: audit.Thresholds{RemovalMin: set(1000)}})
	if !slices.ContainsFunc(divergences, func(d audit.Divergence) bool {
		return slices.ContainsFunc(d.Added, func(a fleet.Action) bool { return a.Type == fleet.DecommissionNode })
	}) {
		t.Errorf("with a budget for all, no removal is published earlier: %v", divergences)
	}
	_, divergences, _ = replay(t, audit.Change{Thresholds: audit.Thresholds{MaxInFlight: set(1)}})
	if !slices.ContainsFunc(divergences, func(d audit.Divergence) bool { return len(d.Missing) > 0 && len(d.Held) > 0 }) {
		t.Errorf("one at a time, nothing is held: %v", divergences)
	}
}

func TestAnotherInventoryWantsOtherNodes(t *testing.T) {
	inv, report := inventory.Parse([]byte(`trust_domain: fleet.example
regions:
  - name: nyc
    nodes:
      - {id: n1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: other, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
enforcement: {require_sig: false}
`))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	change := audit.Change{Inventory: inv}
	points, divergences, st := replay(t, change)
	if len(divergences) != len(points) {
		t.Errorf("%d of %d decisions diverge", len(divergences), len(points))
	}
	for _, d := range divergences {
		if !slices.Contains(d.Added, fleet.Action{Type: fleet.EnrollNode, ID: "other"}) {
			t.Errorf("at %d the other node is not enrolled: %v", d.Sequence, d.Added)
		}
	}
	end, err := change.AtEnd(st, nil, dawn)
	if err != nil || !slices.ContainsFunc(end.Publish, func(s engine.Step) bool { return s.ID == "other" }) {
		t.Errorf("at the end: %v, %v", end.Publish, err)
	}
}

func TestThresholdsThatDoNotGoTogetherAreRefused(t *testing.T) {
	c := audit.Change{Thresholds: audit.Thresholds{BackoffBase: set(10 * time.Hour)}}
	_, err := audit.Replay(t.Context(), tell(t), c, audit.Show{})
	if !errors.Is(err, audit.ErrThresholds) || !strings.Contains(err.Error(), "backoff_cap") {
		t.Errorf("got %v", err)
	}
	if _, err := c.AtEnd(projection.New(), new(fleet.Inventory), dawn); !errors.Is(err, audit.ErrThresholds) {
		t.Errorf("at the end: %v", err)
	}
}

func TestARuleThatIsNotKnownCannotBeReplayed(t *testing.T) {
	s := tell(t)
	rewrite(s, find[events.PlanDecided](s, 0, nil), func(d *events.PlanDecided) { d.RuleVersion = "0" })
	c := audit.Change{Thresholds: audit.Thresholds{RemovalMin: set(1)}}
	if _, err := audit.Replay(t.Context(), s, c, audit.Show{}); err == nil || !strings.Contains(err.Error(), "rule version 0 is not known") {
		t.Errorf("got %v", err)
	}
	if _, err := audit.Replay(t.Context(), s, audit.Change{}, audit.Show{}); err != nil {
		t.Errorf("without a change: %v", err)
	}
}

func TestThresholdsAreReadStrictly(t *testing.T) {
	all := `removal_min: 1
removal_fraction: 0.5
blind_fraction: 0.25
blind_min: 2
lost_wait: 7s
flap_threshold: 2.5
flap_half_life: 90s
max_in_flight: 3
backoff_base: 250ms
backoff_cap: 1m
jitter: 0
stuck_after: 9
`
	read, err := audit.ParseThresholds([]byte(all))
	if err != nil {
		t.Fatal(err)
	}
	got, err := read.Over(decide.Given{})
	want := decide.Given{
		Safeguards: engine.Safeguards{
			RemovalMin: 1, RemovalFraction: 0.5, BlindFraction: 0.25, BlindMin: 2, LostWait: 7 * time.Second,
			FlapThreshold: 2.5, FlapHalfLife: 90 * time.Second,
		},
		Policy: engine.Policy{MaxInFlight: 3, BackoffBase: 250 * time.Millisecond, BackoffCap: time.Minute, StuckAfter: 9},
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for text, why := range map[string]string{
		"":                             "there are none",
		"# nothing\n":                  "there are none",
		"{}":                           "there are none",
		"max_inflight: 3":              "line 1: field max_inflight not found",
		"jitter: 0.1\njitter: 0.2":     "already defined",
		"lost_wait: 5":                 "5", // of what?
		"lost_wait: soon":              "soon",
		"removal_min: [1]":             "line 1",
		"- 1":                          "line 1",
		"jitter: 0.1\n---\njitter: 1":  "more than one document",
		"removal_min: 1.5":             "1.5",
		"\tjitter: 1":                  "character",
		"removal_min: 1\nmax: 3\nx: 4": "x",
	} {
		if got, err := audit.ParseThresholds([]byte(text)); err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v, %v, want %q in one line", text, got, err, why)
		}
	}
}
