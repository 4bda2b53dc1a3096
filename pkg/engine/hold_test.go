package engine_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// told is the Facts of a log, written down by hand.
type told struct {
	lost     map[fleet.NodeID]bool
	ago      map[fleet.NodeID]time.Duration // beyond ten seconds
	penalty  map[fleet.NodeID]float64
	paused   map[fleet.Target]fleet.Pause
	approved map[fleet.NodeID]bool
}

func (f told) LostAt(id fleet.NodeID) (time.Time, bool) {
	if !f.lost[id] {
		return time.Time{}, false
	}
	return noon.Add(-f.ago[id] - 10*time.Second), true
}
func (f told) FlapPenalty(id fleet.NodeID, _ time.Time, _ time.Duration) float64 {
	return f.penalty[id]
}
func (f told) Paused(t fleet.Target) (fleet.Pause, bool) {
	p, ok := f.paused[t]
	return p, ok
}
func (f told) RemovalApproved(id fleet.NodeID) bool { return f.approved[id] }

// holding is a situation under construction: regions nyc and ams of five
// nodes each, all present and signing, settled, quorum of one.
type holding struct {
	engine.Situation
	told       told
	safeguards engine.Safeguards
}

func newHolding() *holding {
	h := &holding{safeguards: engine.DefaultSafeguards(), told: told{
		lost: map[fleet.NodeID]bool{}, ago: map[fleet.NodeID]time.Duration{}, penalty: map[fleet.NodeID]float64{},
		paused: map[fleet.Target]fleet.Pause{}, approved: map[fleet.NodeID]bool{},
	}}
	h.Situation = engine.Situation{
		Desired: &fleet.Inventory{QuorumWidth: 1}, Observed: &fleet.ObservedState{}, Facts: h.told, Settled: true, Now: noon,
	}
	for _, name := range []string{"nyc", "ams"} {
		r := fleet.Region{Name: name}
		for i := range 5 {
			id := fleet.NodeID(fmt.Sprintf("%s/%d", name, i))
			r.Nodes = append(r.Nodes, fleet.Node{ID: id})
			h.Observed.Nodes = append(h.Observed.Nodes, fleet.ObservedNode{ID: id, Present: true, CanSign: true})
		}
		h.Desired.Regions = append(h.Desired.Regions, r)
	}
	return h
}

// absent makes nodes absent; lost also without a farewell.
func (h *holding) absent(ids ...fleet.NodeID) {
	for _, id := range ids {
		for i := range h.Observed.Nodes {
			if h.Observed.Nodes[i].ID == id {
				h.Observed.Nodes[i].Present = false
			}
		}
	}
}

func (h *holding) lost(ids ...fleet.NodeID) {
	h.absent(ids...)
	for _, id := range ids {
		h.told.lost[id] = true
	}
}

func (h *holding) pause(t fleet.Target) {
	h.told.paused[t] = fleet.Pause{Target: t, Actor: "kim", Note: "storm", Since: noon}
}

// ghosts adds observed nodes that nobody desires.
func (h *holding) ghosts(n int) {
	for i := range n {
		h.Observed.Nodes = append(h.Observed.Nodes, fleet.ObservedNode{ID: fleet.NodeID(fmt.Sprintf("old/%d", i)), Present: true})
	}
}

func (h *holding) strict() { h.Desired.RequireSig = true }

// held says what Hold answers, one held action a line.
func (h *holding) held() string {
	_, held := engine.Hold(engine.Reconcile(h.Desired, h.Observed), h.Situation, h.safeguards)
	var parts []string
	for _, x := range held {
		parts = append(parts, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", x.Type, x.ID, x.Reason)), " "))
	}
	return strings.Join(parts, "\n")
}

func repeat(format string, n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return strings.Join(all, "\n")
}

func TestHold(t *testing.T) {
	region, everybody := fleet.Target{Scope: fleet.ScopeRegion, Region: "nyc"}, fleet.Target{Scope: fleet.ScopeFleet}
	for rule, c := range map[string]struct {
		given func(*holding)
		want  string
	}{
		"a calm fleet's plan is free": {func(h *holding) { h.strict(); h.ghosts(2) }, ""},

		"unsettled: nothing is removed and nothing enforced": {func(h *holding) { h.strict(); h.ghosts(1); h.Settled = false },
			"DecommissionNode old/0 unsettled\nEnableStrictEnforcement unsettled"},
		"unsettled: enrolments and relaxing go on": {func(h *holding) { h.Observed.StrictEnforced = true; h.absent("nyc/0"); h.Settled = false }, ""},

		"who was lost a moment ago waits, whoever was lost before does not": {func(h *holding) { h.lost("nyc/0", "nyc/1"); h.told.ago["nyc/1"] = -6 * time.Second },
			"EnrollNode nyc/1 just_lost"},
		"who left a moment ago does not wait": {func(h *holding) { h.absent("nyc/0") }, ""},
		"two lost of five are enrolled again": {func(h *holding) { h.lost("nyc/0", "nyc/1") }, ""},
		"three lost of five in a region are our blindness": {func(h *holding) { h.lost("nyc/0", "nyc/1", "nyc/2"); h.ghosts(1) },
			repeat("EnrollNode nyc/%d blind_region", 3) + "\nDecommissionNode old/0 blind_region"},
		"a blind region does not keep a lost node of another from being enrolled": {func(h *holding) { h.lost("nyc/0", "nyc/1", "nyc/2", "ams/4") },
			repeat("EnrollNode nyc/%d blind_region", 3)},
		"exactly the fraction is not more than it": {func(h *holding) { h.safeguards.BlindFraction = 0.6; h.lost("nyc/0", "nyc/1", "nyc/2") }, ""},
		"fewer than the minimum are never blindness": {func(h *holding) {
			h.Desired.Regions = h.Desired.Regions[:1]
			h.Desired.Regions[0].Nodes, h.Observed.Nodes = h.Desired.Regions[0].Nodes[:2], h.Observed.Nodes[:2]
			h.lost("nyc/0", "nyc/1")
		}, ""},
		"more than half of a region that left by farewell are just gone": {func(h *holding) { h.absent("nyc/0", "nyc/1", "nyc/2", "nyc/3") }, ""},
		"a fleet that is lost altogether is our blindness, too": {func(h *holding) {
			for i := range 5 {
				h.lost(fleet.NodeID(fmt.Sprintf("nyc/%d", i)), fleet.NodeID(fmt.Sprintf("ams/%d", i)))
			}
			h.ghosts(1)
		}, repeat("EnrollNode nyc/%d blind_fleet", 5) + "\n" + repeat("EnrollNode ams/%d blind_fleet", 5) + "\nDecommissionNode old/0 blind_fleet"},
		"a blind fleet still enrols who was never seen": {func(h *holding) {
			h.Desired.Regions[1].Nodes = append(h.Desired.Regions[1].Nodes, fleet.Node{ID: "new"})
			h.lost("nyc/0", "nyc/1", "ams/0", "ams/1", "nyc/2", "ams/2", "nyc/3")
		}, repeat("EnrollNode nyc/%d blind_fleet", 4) + "\n" + repeat("EnrollNode ams/%d blind_fleet", 3)},
		"a region named twice is one region": {func(h *holding) {
			h.Desired.Regions[1].Name = "nyc"
			h.lost("nyc/0", "nyc/1", "nyc/2")
		}, ""},
		"lost ghosts do not make us blind": {func(h *holding) { h.ghosts(4); h.lost("old/0", "old/1", "old/2", "old/3") }, ""},

		"five may be removed": {func(h *holding) { h.ghosts(5) }, ""},
		"six may not":         {func(h *holding) { h.ghosts(6) }, repeat("DecommissionNode old/%d removal_budget", 6)},
		"six that are approved may": {func(h *holding) {
			h.ghosts(6)
			for i := range 6 {
				h.told.approved[fleet.NodeID(fmt.Sprintf("old/%d", i))] = true
			}
		}, ""},
		"one more than was approved holds them all": {func(h *holding) {
			h.ghosts(7)
			for i := range 6 {
				h.told.approved[fleet.NodeID(fmt.Sprintf("old/%d", i))] = true
			}
		}, repeat("DecommissionNode old/%d removal_budget", 7)},
		"everyone may never be removed, however few": {func(h *holding) { h.Desired = &fleet.Inventory{}; h.Observed.Nodes = h.Observed.Nodes[:2] },
			repeat("DecommissionNode nyc/%d removal_budget", 2)},
		"a budget holds no enrolment and no flip": {func(h *holding) { h.ghosts(6); h.strict() }, repeat("DecommissionNode old/%d removal_budget", 6)},

		"nobody is removed below the quorum": {func(h *holding) { h.Desired.QuorumWidth = 11; h.ghosts(1); h.strict() }, "DecommissionNode old/0 quorum"},
		"who is absent does not count for the quorum": {func(h *holding) { h.Desired.QuorumWidth = 10; h.ghosts(1); h.absent("ams/0") },
			"DecommissionNode old/0 quorum"},
		"a ghost that signs does not count for the quorum": {func(h *holding) {
			h.Desired.QuorumWidth = 11
			h.ghosts(1)
			h.Observed.Nodes[10].CanSign = true
		}, "DecommissionNode old/0 quorum"},

		"a paused fleet does nothing": {func(h *holding) {
			h.pause(everybody)
			h.ghosts(1)
			h.absent("nyc/0")
			h.Observed.Nodes[1].CanSign = false
		},
			"EnrollNode nyc/0 paused\nIssueCredential nyc/1 paused\nDecommissionNode old/0 paused"},
		"a paused fleet does not become strict": {func(h *holding) { h.pause(everybody); h.strict() }, "EnableStrictEnforcement paused"},
		"a paused fleet relaxes":                {func(h *holding) { h.pause(everybody); h.Observed.StrictEnforced = true }, ""},
		"a paused region holds its desired nodes": {func(h *holding) { h.pause(region); h.absent("nyc/0", "ams/0"); h.ghosts(1) },
			"EnrollNode nyc/0 paused"},
		"a paused node is not removed": {func(h *holding) { h.pause(fleet.Target{Scope: fleet.ScopeNode, ID: "old/1"}); h.ghosts(2) },
			"DecommissionNode old/1 paused"},
		"a paused region does not keep the fleet from becoming strict": {func(h *holding) { h.pause(region); h.strict() }, ""},

		"a flapping node is not enrolled again": {func(h *holding) { h.lost("nyc/0"); h.told.penalty["nyc/0"] = 3.01 }, "EnrollNode nyc/0 flapping"},
		"a penalty at the threshold is borne":   {func(h *holding) { h.lost("nyc/0"); h.told.penalty["nyc/0"] = 3 }, ""},
		"a flapping node gets its credential": {func(h *holding) { h.Observed.Nodes[0].CanSign = false; h.told.penalty["nyc/0"] = 9 },
			""},
	} {
		t.Run(rule, func(t *testing.T) {
			h := newHolding()
			c.given(h)
			if diff := cmp.Diff(c.want, h.held()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHeldTellsAPersonWhatToDo(t *testing.T) {
	for does, c := range map[string]struct {
		given func(*holding)
		want  string
	}{
		"a budget names the approval":   {func(h *holding) { h.ghosts(6) }, "6 of 16 observed nodes would be removed and 5 may be at once; approve with: fleetfold approve removal-"},
		"a pause names who paused what": {func(h *holding) { h.pause(fleet.Target{Scope: fleet.ScopeFleet}); h.strict() }, "the fleet was paused by kim at 2026-01-02T12:00:00Z: storm"},
		"blindness names who is lost": {func(h *holding) { h.lost("nyc/0", "nyc/1", "nyc/2", "nyc/3") },
			"4 of 5 desired nodes of region nyc are lost, which looks like our own blindness (if they are gone for good, raise --blind-fraction): nyc/0, nyc/1, nyc/2 and 1 more"},
		"a node lost a moment ago has an end": {func(h *holding) { h.lost("nyc/0"); h.told.ago["nyc/0"] = -8 * time.Second },
			"lost a moment ago, not enrolled again until 2026-01-02T12:00:03Z"},
		"a damped node has an end": {func(h *holding) { h.lost("nyc/0"); h.told.penalty["nyc/0"] = 6 }, "was lost too often, not enrolled again until 2026-01-02T12:10:00Z"},
		"the unsettled say what they wait for": {func(h *holding) { h.ghosts(1); h.Settled, h.Waiting = false, "waiting for the sun" },
			"waiting for the sun"},
	} {
		h := newHolding()
		c.given(h)
		_, held := engine.Hold(engine.Reconcile(h.Desired, h.Observed), h.Situation, h.safeguards)
		if len(held) == 0 || !strings.HasPrefix(held[0].Detail, c.want) {
			t.Errorf("%s: held %+v, want the detail %q", does, held, c.want)
		}
	}
}

func TestAnApprovalIsOfExactlyOneSet(t *testing.T) {
	plan := func(actions ...fleet.Action) fleet.ApprovalID {
		return engine.ApprovalIDFor(fleet.Plan{Actions: actions})
	}
	if plan(removeD, removeE) != plan(enrollA, removeE, removeD, relax) {
		t.Error("order or other actions change the approval")
	}
	if plan(removeD) == plan(removeD, removeE) || plan(removeD) == plan(removeE) {
		t.Error("two sets have one approval")
	}
	if got := plan(enrollA, relax); got != "" {
		t.Errorf("a plan that removes nobody has the approval %q", got)
	}
}

func TestSafeguardsHaveRanges(t *testing.T) {
	if err := engine.DefaultSafeguards().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	bad := engine.Safeguards{
		RemovalMin: -1, RemovalFraction: math.NaN(), BlindFraction: 1.1, BlindMin: 0, FlapThreshold: 16, FlapHalfLife: time.Millisecond, LostWait: -1,
	}
	err := bad.Validate()
	for _, field := range []string{"removal_min", "removal_fraction", "blind_fraction", "blind_min", "lost_wait", "flap_threshold", "flap_half_life"} {
		if err == nil || !strings.Contains(err.Error(), field+" is ") {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
	if got := engine.DefaultSafeguards().RemovalBudget(1000); got != 20 {
		t.Errorf("%d of 1000 may be removed, want 20", got)
	}
}

func TestAPenaltyEndsByHalving(t *testing.T) {
	g := engine.DefaultSafeguards()
	for penalty, want := range map[float64]time.Duration{0: 0, 3: 0, 6: 10 * time.Minute, 12: 20 * time.Minute} {
		if got := g.FlapEnds(penalty, noon).Sub(noon); got != want {
			t.Errorf("a penalty of %v ends after %s, want %s", penalty, got, want)
		}
	}
	if got := (engine.Safeguards{}).FlapEnds(0, noon); !got.Equal(noon) {
		t.Errorf("without thresholds no penalty ends at %s", got)
	}
}

func TestTimeEndsWhatOnlyTimeHolds(t *testing.T) {
	for does, c := range map[string]struct {
		given func(*holding)
		want  time.Duration // after noon; 0: never
	}{
		"nothing is held":                 {func(*holding) {}, 0},
		"what a person holds has no end":  {func(h *holding) { h.ghosts(6) }, 0},
		"a penalty decays":                {func(h *holding) { h.lost("nyc/0"); h.told.penalty["nyc/0"] = 6 }, 10 * time.Minute},
		"a node was lost two seconds ago": {func(h *holding) { h.lost("nyc/0"); h.told.ago["nyc/0"] = -8 * time.Second }, 3 * time.Second},
		"the first end of two is the wake": {func(h *holding) {
			h.lost("nyc/0", "ams/1")
			h.told.penalty["nyc/0"] = 6
			h.told.ago["ams/1"] = -8 * time.Second
		}, 3 * time.Second},
	} {
		h := newHolding()
		c.given(h)
		_, held := engine.Hold(engine.Reconcile(h.Desired, h.Observed), h.Situation, h.safeguards)
		at := engine.HoldEnds(held, h.Situation, h.safeguards)
		if c.want == 0 != at.IsZero() || c.want != 0 && at.Sub(noon) != c.want {
			t.Errorf("%s: ends at %s, want %s after noon", does, at, c.want)
		}
	}
}
