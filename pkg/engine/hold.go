package engine

import (
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// The reasons for which Hold holds an action. When several apply, the first of
// this list is given. DisableStrictEnforcement is never held: relaxing cuts
// nobody off.
const (
	// ReasonPaused: a person paused the fleet, the node's region or the node.
	// Resuming ends it. The flip to strict is held by a pause of the fleet only,
	// a decommission by one of the fleet or the node: a node that nobody desires
	// is in no region.
	ReasonPaused fleet.Reason = "paused"
	// ReasonUnsettled: whoever decides has not yet seen all nodes that the log
	// calls present, and its first lease is not over. Holds decommissions, the
	// flip to strict, and the enrolment of every lost node. Seeing the nodes, or
	// the lease's end, ends it.
	ReasonUnsettled fleet.Reason = "unsettled"
	// ReasonBlindFleet: so many of the desired nodes are lost at once that the
	// fault is taken to be ours. Holds decommissions, the flip to strict, and the
	// enrolment of every lost node. Their return ends it, and needs no action.
	ReasonBlindFleet fleet.Reason = "blind_fleet"
	// ReasonBlindRegion: the same of one region. Holds decommissions, the flip
	// to strict, and the enrolment of the lost nodes of that region.
	ReasonBlindRegion fleet.Reason = "blind_region"
	// ReasonQuorum: fewer desired nodes are present and sign than the quorum's
	// width. Holds decommissions.
	ReasonQuorum fleet.Reason = "quorum"
	// ReasonRemovalBudget: the plan would remove more nodes at once than the
	// budget allows, or everyone. Holds all decommissions until a person approves
	// them, or the inventory asks for fewer.
	ReasonRemovalBudget fleet.Reason = "removal_budget"
	// ReasonJustLost: the node was lost so short a while ago that it cannot be
	// told yet whether it is alone in that: leases do not end together, even if
	// their nodes are cut off together. Nor do nodes come back together, so that
	// the same goes for a while after blindness. Holds its enrolment. Time ends it.
	ReasonJustLost fleet.Reason = "just_lost"
	// ReasonFlapping: the node was lost so often lately that enrolling it again
	// helps nobody. Time ends it.
	ReasonFlapping fleet.Reason = "flapping"
)

// Facts is what the log tells beyond the observed state; a projection's State
// offers it. Hold only reads it, and it must not change meanwhile.
type Facts interface {
	// LostAt says that a node is observed absent, did not say farewell, and since
	// when.
	LostAt(id fleet.NodeID) (since time.Time, lost bool)
	// FlapPenalty is 1 for each loss of the node, halved by each half-life since.
	FlapPenalty(id fleet.NodeID, now time.Time, halfLife time.Duration) float64
	// Paused returns the pause of exactly that target, if it is paused.
	Paused(fleet.Target) (fleet.Pause, bool)
	// RemovalApproved says that a person approved, for the inventory in force, a
	// set of decommissions that this life of the node was in.
	RemovalApproved(id fleet.NodeID) bool
}

// Situation is what a plan is held against.
type Situation struct {
	// Desired and Observed are what the plan was reconciled from; not nil.
	Desired  *fleet.Inventory
	Observed *fleet.ObservedState
	// Facts of the same fold as Observed; nil where there is no log.
	Facts Facts
	// Settled: the fold is complete, and nobody is believed present on the log's
	// word alone. Waiting says, while that is not so, what is waited for.
	Settled bool
	Waiting string
	// SightSince is when the last ReasonBlindFleet or ReasonBlindRegion ended; zero:
	// not that whoever decides knows.
	SightSince time.Time
	Now        time.Time
}

// Hold divides a plan into what may be done and what a safeguard holds, each
// with its reason. Both keep the plan's order, and together they are the plan.
//
// An action is held for the first of the Reason constants that applies to it.
// Nothing here makes a plan wanted or unwanted: what is held today is asked for
// again by the next decision. The same arguments give the same answer; neither
// plan nor situation is changed. Its cost is linear in the nodes of both sides.
// The safeguards must be valid.
func Hold(plan fleet.Plan, situation Situation, safeguards Safeguards) (allowed fleet.Plan, held []fleet.Held) {
	return hold(plan, situation, safeguards, nil)
}

// hold counts everybody itself if nobody has.
func hold(plan fleet.Plan, situation Situation, safeguards Safeguards, count survey) (allowed fleet.Plan, held []fleet.Held) {
	if plan.Empty() {
		return plan, nil
	}
	h := newHolder(plan, situation, safeguards, count)
	for _, a := range plan.Actions {
		if reason, detail := h.why(a); reason != "" {
			held = append(held, fleet.Held{Action: a, Reason: reason, Detail: detail})
			continue
		}
		allowed.Actions = append(allowed.Actions, a)
	}
	return allowed, held
}

// NeedsApproval returns what a person would have to approve for the plan's
// decommissions not to be held for ReasonRemovalBudget; false if nothing.
func NeedsApproval(plan fleet.Plan, situation Situation, safeguards Safeguards) (fleet.ApprovalID, bool) {
	if plan.Empty() || newHolder(plan, situation, safeguards, nil).budget == "" {
		return "", false
	}
	return ApprovalIDFor(plan), true
}

// holder is one run of Hold.
type holder struct {
	Situation
	safeguards Safeguards
	survey     survey
	// fleet is the census of all, if it is blind; blindIn that of the first region
	// that is. regions by name have been asked for; nil: it is not blind.
	fleet, blindIn *census
	regions        map[string]*census
	signing        int
	// budget is the detail of ReasonRemovalBudget; empty: it does not apply.
	budget string
}

func newHolder(plan fleet.Plan, s Situation, g Safeguards, count survey) *holder {
	if s.Facts == nil {
		s.Facts = noFacts{}
	}
	if count == nil {
		count = countAll(plan, s)
	}
	h := &holder{Situation: s, safeguards: g, survey: count}
	if all := count.all(); g.blind(all.lost, all.desired) {
		h.fleet = all
	}
	h.blindIn = count.blindRegion(g)
	var observed int
	observed, h.signing = count.nodes()
	h.budget = h.overBudget(plan, observed)
	return h
}

// blindRegion is the census of the regions of that name, if it is blind.
func (h *holder) blindRegion(name string) *census {
	if h.blindIn == nil {
		return nil
	}
	c, known := h.regions[name]
	if known {
		return c
	}
	if c = h.survey.region(name); c != nil && !h.safeguards.blind(c.lost, c.desired) {
		c = nil
	}
	if h.regions == nil {
		h.regions = make(map[string]*census)
	}
	h.regions[name] = c
	return c
}

// overBudget says why the plan's decommissions need approval; empty: they do not.
func (h *holder) overBudget(plan fleet.Plan, all int) string {
	removals, approved := 0, true
	for _, a := range plan.Actions {
		if a.Type == fleet.DecommissionNode {
			removals++
			approved = approved && h.Facts.RemovalApproved(a.ID)
		}
	}
	budget := h.safeguards.RemovalBudget(all)
	if removals == 0 || approved || removals <= budget && removals < all {
		return ""
	}
	why := fmt.Sprintf("%d of %d observed nodes would be removed and %d may be at once", removals, all, budget)
	if removals >= all {
		why = fmt.Sprintf("all %d observed nodes would be removed", all)
	}
	return fmt.Sprintf("%s; approve with: fleetfold approve %s", why, h.survey.removal(plan))
}

// why returns the first reason that applies to an action; none if it is free.
func (h *holder) why(a fleet.Action) (fleet.Reason, string) {
	if a.Type == fleet.DisableStrictEnforcement {
		return "", ""
	}
	if p, ok := h.pause(a); ok {
		return ReasonPaused, pauseDetail(p)
	}
	switch a.Type {
	case fleet.DecommissionNode, fleet.EnableStrictEnforcement:
		if reason, detail := h.unsure(); reason != "" {
			return reason, detail
		}
	case fleet.EnrollNode:
		return h.whyNotEnroll(a.ID)
	}
	if a.Type == fleet.DecommissionNode {
		return h.whyNotRemove()
	}
	return "", ""
}

// unsure is why nothing may be removed or enforced on what is believed now.
func (h *holder) unsure() (fleet.Reason, string) {
	switch {
	case !h.Settled:
		return ReasonUnsettled, h.Waiting
	case h.fleet != nil:
		return ReasonBlindFleet, h.fleet.detail()
	case h.blindIn != nil:
		return ReasonBlindRegion, h.blindIn.detail()
	}
	return "", ""
}

func (h *holder) whyNotRemove() (fleet.Reason, string) {
	switch {
	case h.signing < h.Desired.QuorumWidth:
		return ReasonQuorum, fmt.Sprintf("%d desired nodes are present and sign, and the quorum's width is %d", h.signing, h.Desired.QuorumWidth)
	case h.budget != "":
		return ReasonRemovalBudget, h.budget
	}
	return "", ""
}

func (h *holder) whyNotEnroll(id fleet.NodeID) (fleet.Reason, string) {
	if _, lost := h.Facts.LostAt(id); lost {
		if reason, detail := h.whyNotEnrollLost(id); reason != "" {
			return reason, detail
		}
	}
	if until := flapEnds(id, h.Situation, h.safeguards); until.After(h.Now) {
		return ReasonFlapping, "was lost too often, not enrolled again until " + until.UTC().Format(time.RFC3339)
	}
	return "", ""
}

func (h *holder) whyNotEnrollLost(id fleet.NodeID) (fleet.Reason, string) {
	blind := h.blindRegion(h.survey.regionOf(id))
	switch until := lostWaitEnds(id, h.Situation, h.safeguards); {
	case !h.Settled:
		return ReasonUnsettled, h.Waiting
	case h.fleet != nil:
		return ReasonBlindFleet, h.fleet.detail()
	case blind != nil:
		return ReasonBlindRegion, blind.detail()
	case until.After(h.Now):
		why := "lost"
		if since, _ := h.Facts.LostAt(id); h.SightSince.After(since) {
			why = "others came back"
		}
		return ReasonJustLost, why + " a moment ago, not enrolled again until " + until.UTC().Format(time.RFC3339)
	}
	return "", ""
}

// pause is the widest pause that covers an action.
func (h *holder) pause(a fleet.Action) (fleet.Pause, bool) {
	if p, ok := h.Facts.Paused(fleet.Target{Scope: fleet.ScopeFleet}); ok || a.ID == "" {
		return p, ok
	}
	if a.Type != fleet.DecommissionNode {
		if p, ok := h.Facts.Paused(fleet.Target{Scope: fleet.ScopeRegion, Region: h.survey.regionOf(a.ID)}); ok {
			return p, true
		}
	}
	return h.Facts.Paused(fleet.Target{Scope: fleet.ScopeNode, ID: a.ID})
}

func pauseDetail(p fleet.Pause) string {
	detail := fmt.Sprintf("%s was paused by %s at %s", p.Target, p.Actor, p.Since.UTC().Format(time.RFC3339))
	if p.Note != "" {
		detail += ": " + p.Note
	}
	return detail
}

// noFacts is a log that tells nothing.
type noFacts struct{}

func (noFacts) LostAt(fleet.NodeID) (time.Time, bool)                      { return time.Time{}, false }
func (noFacts) FlapPenalty(fleet.NodeID, time.Time, time.Duration) float64 { return 0 }
func (noFacts) Paused(fleet.Target) (fleet.Pause, bool)                    { return fleet.Pause{}, false }
func (noFacts) RemovalApproved(fleet.NodeID) bool                          { return false }
