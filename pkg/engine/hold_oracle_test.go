package engine_test

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// holdWorld is a fleet as plain lists: what is desired, what is observed, and
// what the log tells beyond that. It is the Facts of Hold, and the oracle
// reads the same lists.
type holdWorld struct {
	desired  *fleet.Inventory
	observed *fleet.ObservedState
	losses   map[fleet.NodeID][]time.Time // of the present life
	lost     map[fleet.NodeID]bool        // absent without a farewell
	pauses   []fleet.Pause
	approved map[fleet.NodeID]bool
	settled  bool
	now      time.Time
	// The thresholds, and the two fractions of them in percent.
	safeguards          engine.Safeguards
	removeable, blinded int
}

func (w *holdWorld) LostAt(id fleet.NodeID) (time.Time, bool) {
	if !w.lost[id] {
		return time.Time{}, false
	}
	all := w.losses[id]
	return all[len(all)-1], true
}

func (w *holdWorld) FlapPenalty(id fleet.NodeID, now time.Time, halfLife time.Duration) (sum float64) {
	for _, at := range w.losses[id] {
		sum += math.Pow(0.5, float64(now.Sub(at))/float64(halfLife))
	}
	return sum
}

func (w *holdWorld) Paused(t fleet.Target) (fleet.Pause, bool) {
	for _, p := range w.pauses {
		if p.Target == t {
			return p, true
		}
	}
	return fleet.Pause{}, false
}

func (w *holdWorld) RemovalApproved(id fleet.NodeID) bool { return w.approved[id] }

func (w *holdWorld) situation() engine.Situation {
	return engine.Situation{
		Desired: w.desired, Observed: w.observed, Facts: w, Settled: w.settled, Waiting: "the sun", Now: w.now,
	}
}

// observedAs is the observed node, absent and unsigned if there is none.
func (w *holdWorld) observedAs(id fleet.NodeID) (n fleet.ObservedNode) {
	for _, have := range w.observed.Nodes {
		if have.ID == id {
			n = have
		}
	}
	return n
}

// blind counts the desired nodes of a region, or of the fleet, and the lost of
// them.
func (w *holdWorld) blind(region string, all bool) bool {
	desired, lost := 0, 0
	for _, r := range w.desired.Regions {
		for _, n := range r.Nodes {
			if all || r.Name == region {
				desired++
				if w.lost[n.ID] {
					lost++
				}
			}
		}
	}
	return lost >= w.safeguards.BlindMin && 100*lost > w.blinded*desired
}

func (w *holdWorld) signing() (n int) {
	for node := range w.desired.Nodes() {
		if o := w.observedAs(node.ID); o.Present && o.CanSign {
			n++
		}
	}
	return n
}

// overBudget: more than the fixed number and more than the part, or everyone,
// and not all of them approved.
func (w *holdWorld) overBudget(plan fleet.Plan) bool {
	removed, approved := 0, 0
	for _, a := range plan.Actions {
		if a.Type == fleet.DecommissionNode {
			removed++
			if w.approved[a.ID] {
				approved++
			}
		}
	}
	all := len(w.observed.Nodes)
	many := removed > w.safeguards.RemovalMin && 100*removed > w.removeable*all
	return removed > approved && (many || removed == all)
}

// holdRow is one row of the table in ARCHITECTURE, "What is held": a reason
// and whether it applies to an action, whatever else does.
type holdRow struct {
	reason  fleet.Reason
	applies func(w *holdWorld, plan fleet.Plan, a fleet.Action) bool
}

func removesOrEnforces(a fleet.Action) bool {
	return a.Type == fleet.DecommissionNode || a.Type == fleet.EnableStrictEnforcement
}

var holdTable = []holdRow{
	{engine.ReasonPaused, func(w *holdWorld, _ fleet.Plan, a fleet.Action) bool { return w.pausing(a) != "" }},
	{engine.ReasonUnsettled, func(w *holdWorld, _ fleet.Plan, a fleet.Action) bool { return removesOrEnforces(a) && !w.settled }},
	{engine.ReasonBlindFleet, func(w *holdWorld, _ fleet.Plan, a fleet.Action) bool {
		return w.blind("", true) && (removesOrEnforces(a) || a.Type == fleet.EnrollNode && w.lost[a.ID])
	}},
	{engine.ReasonBlindRegion, func(w *holdWorld, _ fleet.Plan, a fleet.Action) bool {
		if a.Type == fleet.EnrollNode {
			return w.lost[a.ID] && w.blind(regionOf(w.desired, a.ID), false)
		}
		return removesOrEnforces(a) && w.blindRegion() != ""
	}},
	{engine.ReasonQuorum, func(w *holdWorld, _ fleet.Plan, a fleet.Action) bool {
		return a.Type == fleet.DecommissionNode && w.signing() < w.desired.QuorumWidth
	}},
	{engine.ReasonRemovalBudget, func(w *holdWorld, plan fleet.Plan, a fleet.Action) bool {
		return a.Type == fleet.DecommissionNode && w.overBudget(plan)
	}},
	{engine.ReasonJustLost, func(w *holdWorld, _ fleet.Plan, a fleet.Action) bool {
		since, lost := w.LostAt(a.ID)
		return a.Type == fleet.EnrollNode && lost && w.now.Sub(since) < w.safeguards.LostWait
	}},
	{engine.ReasonFlapping, func(w *holdWorld, _ fleet.Plan, a fleet.Action) bool {
		return a.Type == fleet.EnrollNode && w.FlapPenalty(a.ID, w.now, w.safeguards.FlapHalfLife) > w.safeguards.FlapThreshold
	}},
}

// blindRegion is the first that is blind; empty: none.
func (w *holdWorld) blindRegion() string {
	for _, r := range w.desired.Regions {
		if w.blind(r.Name, false) {
			return r.Name
		}
	}
	return ""
}

// pausing is the widest target whose pause covers an action; empty: none. The
// flip is covered by the fleet only, a decommission by no region.
func (w *holdWorld) pausing(a fleet.Action) string {
	if a.Type == fleet.DisableStrictEnforcement {
		return ""
	}
	for _, scope := range []fleet.Scope{fleet.ScopeFleet, fleet.ScopeRegion, fleet.ScopeNode} {
		for _, p := range w.pauses {
			region := p.Region == regionOf(w.desired, a.ID) && a.ID != "" && a.Type != fleet.DecommissionNode
			covers := map[fleet.Scope]bool{fleet.ScopeFleet: true, fleet.ScopeRegion: region, fleet.ScopeNode: a.ID != "" && p.ID == a.ID}
			if p.Scope == scope && covers[scope] {
				return p.Target.String()
			}
		}
	}
	return ""
}

// why takes the first row that applies.
func (w *holdWorld) why(plan fleet.Plan, a fleet.Action) fleet.Reason {
	for _, row := range holdTable {
		if row.applies(w, plan, a) {
			return row.reason
		}
	}
	return ""
}

// tells says whether the detail of a hold names what it must. A time in it is
// cut to the second.
func (w *holdWorld) tells(plan fleet.Plan, h fleet.Held) bool {
	if ends := w.ends(h); !ends.IsZero() {
		at, err := time.Parse(time.RFC3339, h.Detail[strings.LastIndex(h.Detail, " ")+1:])
		return err == nil && ends.Sub(at) > -time.Microsecond && ends.Sub(at) < time.Second+time.Microsecond
	}
	return strings.Contains(h.Detail, w.names(plan, h))
}

// names is what the detail of a hold that does not end by itself must name.
func (w *holdWorld) names(plan fleet.Plan, h fleet.Held) string {
	switch h.Reason {
	case engine.ReasonPaused:
		return w.pausing(h.Action) + " was paused by "
	case engine.ReasonUnsettled:
		return "the sun"
	case engine.ReasonBlindFleet:
		return " of the fleet are lost"
	case engine.ReasonBlindRegion:
		if h.Type == fleet.EnrollNode {
			return " of region " + regionOf(w.desired, h.ID) + " are lost"
		}
		return " of region " + w.blindRegion() + " are lost"
	case engine.ReasonQuorum:
		return fmt.Sprintf("%d desired nodes are present and sign, and the quorum's width is %d", w.signing(), w.desired.QuorumWidth)
	}
	return "fleetfold approve " + string(engine.ApprovalIDFor(plan))
}

// ends is when time alone ends a hold, found by halving the time in which it
// must end; zero: never.
func (w *holdWorld) ends(h fleet.Held) time.Time {
	if h.Reason != engine.ReasonJustLost && h.Reason != engine.ReasonFlapping {
		return time.Time{}
	}
	over := func(later time.Duration) bool {
		future := *w
		future.now = w.now.Add(later)
		for _, row := range holdTable {
			if row.reason == h.Reason {
				return !row.applies(&future, fleet.Plan{}, h.Action)
			}
		}
		return true
	}
	early, late := time.Duration(0), 10*24*time.Hour // the longest: sixteen losses at a half-life of a day
	for late-early > time.Nanosecond {
		if middle := early + (late-early)/2; over(middle) {
			late = middle
		} else {
			early = middle
		}
	}
	return w.now.Add(late)
}

func reasonsOf(held []fleet.Held) string {
	var b strings.Builder
	for _, h := range held {
		fmt.Fprintf(&b, "%s %q %s\n", h.Type, h.ID, h.Reason)
	}
	return b.String()
}
