package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// A person writes thresholds in decimals, and a float falls short of some:
// 0.29 of 100 is 29 all the same, and 29 is not more than it.
func TestAPartIsExact(t *testing.T) {
	for percent := range 101 {
		for _, n := range []int{1, 3, 10, 50, 99, 100, 200, 700, 1000, 100_000} {
			g := engine.DefaultSafeguards()
			g.RemovalMin, g.RemovalFraction = 0, float64(percent)/100
			if got := g.RemovalBudget(n); got != percent*n/100 {
				t.Errorf("%d of %d may be removed at %d %%, want %d", got, n, percent, percent*n/100)
			}
		}
	}
}

func TestExactlyTheFractionIsNeverMoreThanIt(t *testing.T) {
	for _, percent := range []int{1, 7, 14, 28, 29, 55, 56, 57, 58, 99} {
		h := newHolding()
		h.safeguards.BlindFraction = float64(percent) / 100
		h.Desired.Regions, h.Observed.Nodes = []fleet.Region{{Name: "nyc"}}, nil
		for i := range 300 {
			id := fleet.NodeID(fmt.Sprintf("nyc/%d", i))
			h.Desired.Regions[0].Nodes = append(h.Desired.Regions[0].Nodes, fleet.Node{ID: id})
			h.Observed.Nodes = append(h.Observed.Nodes, fleet.ObservedNode{ID: id, Present: true, CanSign: true})
			if i < 3*percent {
				h.lost(id)
			}
		}
		if held := h.held(); held != "" {
			t.Errorf("%d lost of 300 are more than %d %%:\n%.80s", 3*percent, percent, held)
		}
		h.lost(fleet.NodeID(fmt.Sprintf("nyc/%d", 3*percent)))
		if held := h.held(); held == "" {
			t.Errorf("%d lost of 300 are not more than %d %%", 3*percent+1, percent)
		}
	}
}

// Whoever decides again when the first hold ends must find it over, or he would
// wake a second time for a nanosecond.
func TestAPenaltyIsOverWhenItsHoldEnds(t *testing.T) {
	for seconds := range 30 {
		w := &holdWorld{
			desired:  &fleet.Inventory{QuorumWidth: 1, Regions: []fleet.Region{{Name: "r", Nodes: []fleet.Node{{ID: "a"}}}}},
			observed: &fleet.ObservedState{}, now: after(seconds), settled: true, safeguards: engine.DefaultSafeguards(),
			losses: map[fleet.NodeID][]time.Time{"a": {noon, noon, noon, noon, noon, noon}},
		}
		w.safeguards.FlapHalfLife = time.Minute
		plan := fleet.Plan{Actions: []fleet.Action{enrollA}}
		_, held := engine.Hold(plan, w.situation(), w.safeguards)
		w.now = engine.HoldEnds(held, w.situation(), w.safeguards)
		if _, still := engine.Hold(plan, w.situation(), w.safeguards); len(held) != 1 || len(still) != 0 {
			t.Errorf("decided %ds after the losses: held %v, and at %s still %v", seconds, held, w.now, still)
		}
		w.now = w.now.Add(-2)
		if _, before := engine.Hold(plan, w.situation(), w.safeguards); len(before) != 1 {
			t.Errorf("decided %ds after the losses: free before the hold ends", seconds)
		}
	}
}

func TestOfTwoBlindRegionsTheFirstIsNamed(t *testing.T) {
	h := newHolding()
	far := fleet.Region{Name: "far"}
	for i := range 15 {
		id := fleet.NodeID(fmt.Sprintf("far/%d", i))
		far.Nodes = append(far.Nodes, fleet.Node{ID: id})
		h.Observed.Nodes = append(h.Observed.Nodes, fleet.ObservedNode{ID: id, Present: true, CanSign: true})
	}
	h.Desired.Regions = append(h.Desired.Regions, far)
	h.lost("ams/0", "ams/1", "ams/2", "nyc/0", "nyc/1", "nyc/2")
	h.ghosts(1)
	_, held := engine.Hold(engine.Reconcile(h.Desired, h.Observed), h.Situation, h.safeguards)
	last := held[len(held)-1]
	if last.Type != fleet.DecommissionNode || !strings.HasPrefix(last.Detail, "3 of 5 desired nodes of region nyc are lost") {
		t.Errorf("the removal is held: %+v", last)
	}
}
