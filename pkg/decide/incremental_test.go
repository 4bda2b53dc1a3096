package decide

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// history is a log in the making, decided on bit by bit and as a whole.
type history struct {
	*site
	at       time.Time
	flown    []events.ActionRequested // published, in order
	decider  Incremental
	behind   Incremental // looks seldom
	holds    Holds
	settings Given
}

var historyIDs = []fleet.NodeID{"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"}

// The law of the incremental decision: on every prefix of any log, under any
// inventory, it is the decision of Plan, to the last word.
func TestDecidingOnWhatChangedIsDecidingOnAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{site: &site{T: t, state: projection.New(), desired: NewDesired(nil)}, at: noon}
		h.inventory()
		h.thresholds()
		moves := []func(){
			h.inventory, h.thresholds, h.appear, h.appear, h.appear, h.lose, h.lose, h.leave, h.remove, h.sign, h.sign, h.void,
			h.publish, h.publish, h.outcome, h.outcome, h.outcome, h.person, h.enforce, h.restore,
			func() { h.at = h.at.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second) },
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			moves[rapid.IntRange(0, len(moves)-1).Draw(t, "move")]()
			h.check()
		}
	})
}

func (h *history) check() {
	g := h.settings
	g.Settled, g.Now = rapid.IntRange(0, 3).Draw(h.T, "settled") > 0, h.at
	want := Plan(h.state, h.desired.Inventory, g)
	if diff := cmp.Diff(want, h.decider.Plan(h.state, h.desired, g)); diff != "" {
		h.Fatalf("decided on all (-) and on what changed (+):\n%s", diff)
	}
	if rapid.IntRange(0, 7).Draw(h.T, "the other looks") == 0 {
		if diff := cmp.Diff(want, h.behind.Plan(h.state, h.desired, g)); diff != "" {
			h.Fatalf("decided on all (-) and on what changed since long ago (+):\n%s", diff)
		}
	}
	h.checkHolds()
}

// checkHolds asks an executor that has followed the whole log, and one that has
// just begun.
func (h *history) checkHolds() {
	var fresh Holds
	for _, a := range h.plan().Actions {
		want, held := fresh.Of(h.state, h.desired, a)
		if got, still := h.holds.Of(h.state, h.desired, a); got != want || held != still {
			h.Fatalf("%v is held for %+v, by who has followed the log for %+v", a, want, got)
		}
	}
}

func (h *history) one() (fleet.NodeID, uint64) {
	id := rapid.SampledFrom(historyIDs).Draw(h.T, "node")
	return id, h.state.Ledger().Epoch(id)
}

// tell appends at the time of the history.
func (h *history) tell(kind events.Type, id fleet.NodeID, data events.Payload) {
	if _, err := h.state.Apply(h.state.Sequence()+1, h.at, &events.Event{Type: kind, Node: id, Source: "test", Data: data}); err != nil {
		h.Fatal(err)
	}
}

func (h *history) inventory() {
	inv := &fleet.Inventory{RequireSig: rapid.Bool().Draw(h.T, "strict"), QuorumWidth: rapid.IntRange(0, 3).Draw(h.T, "quorum")}
	for _, id := range rapid.Permutation(historyIDs).Draw(h.T, "order")[:rapid.IntRange(0, 8).Draw(h.T, "desired")] {
		if len(inv.Regions) == 0 || rapid.IntRange(0, 2).Draw(h.T, "new region") == 0 {
			inv.Regions = append(inv.Regions, fleet.Region{Name: rapid.SampledFrom([]string{"r", "s", "t"}).Draw(h.T, "region")})
		}
		last := &inv.Regions[len(inv.Regions)-1]
		last.Nodes = append(last.Nodes, fleet.Node{ID: id})
	}
	h.desired = NewDesired(inv)
	generation := h.state.Inventory().Generation + 1
	h.tell(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: fmt.Sprint("d", generation), Generation: generation})
}

func (h *history) thresholds() {
	h.settings = Given{Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy(), Waiting: "for someone"}
	g, p := &h.settings.Safeguards, &h.settings.Policy
	g.RemovalMin, g.BlindMin = rapid.IntRange(0, 4).Draw(h.T, "removal min"), rapid.IntRange(1, 4).Draw(h.T, "blind min")
	g.BlindFraction = rapid.SampledFrom([]float64{0, 0.3, 0.55, 1}).Draw(h.T, "blind fraction")
	p.MaxInFlight = rapid.IntRange(1, 5).Draw(h.T, "max in flight")
}

func (h *history) appear() {
	id, epoch := h.one()
	session := rapid.SampledFrom([]string{"s1", "s2"}).Draw(h.T, "session")
	key := rapid.SampledFrom([]string{"k", "k", "other"}).Draw(h.T, "key")
	h.tell(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: epoch, Session: session, KeyFingerprint: key})
}

func (h *history) lose() {
	id, epoch := h.one()
	h.tell(events.TypeNodeLost, id, &events.NodeLost{Epoch: epoch, Reason: "lease_expired"})
}

func (h *history) leave() {
	id, epoch := h.one()
	h.tell(events.TypeNodeLeft, id, &events.NodeLeft{Epoch: epoch})
}

func (h *history) remove() {
	id, epoch := h.one()
	h.tell(events.TypeNodeRemoved, id, &events.NodeRemoved{Epoch: epoch})
}

func (h *history) sign() {
	id, epoch := h.one()
	serial := fmt.Sprint(h.state.Sequence())
	h.tell(events.TypeCredentialIssued, id, &events.CredentialIssued{Epoch: epoch, Serial: serial, Nonce: "n", KeyFingerprint: "k"})
	h.tell(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: epoch, Serial: serial, Nonce: "n"})
}

func (h *history) void() {
	id, epoch := h.one()
	if n, ok := h.state.Node(id); ok && n.Proved != nil {
		h.tell(events.TypeCredentialExpired, id, &events.CredentialExpired{Epoch: epoch, Serial: n.Proved.Serial})
	}
}

// publish appends what is decided, as a planner does.
func (h *history) publish() {
	g := h.settings
	g.Settled, g.Now = true, h.at
	for _, s := range h.decider.Plan(h.state, h.desired, g).Publish {
		d := events.ActionRequested{Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation}
		h.flown = append(h.flown, d)
		h.tell(events.TypeOfAction(s.Type), s.ID, &d)
	}
}

func (h *history) outcome() {
	if len(h.flown) == 0 {
		return
	}
	at := rapid.IntRange(0, len(h.flown)-1).Draw(h.T, "ends")
	d := h.flown[at]
	h.flown = slices.Delete(h.flown, at, at+1)
	switch rapid.IntRange(0, 2).Draw(h.T, "how") {
	case 0:
		h.tell(events.TypeActionSucceeded, d.ID, &events.ActionSucceeded{Action: d.Action, Type: d.Type, ID: d.ID})
	case 1:
		h.tell(events.TypeActionFailed, d.ID, &events.ActionFailed{Action: d.Action, Type: d.Type, ID: d.ID, Reason: "broken"})
	default:
		h.tell(events.TypeActionRefused, d.ID, &events.ActionRefused{Action: d.Action, Type: d.Type, ID: d.ID, Reason: "unwanted"})
	}
}

func (h *history) person() {
	target := rapid.SampledFrom([]fleet.Target{
		{Scope: fleet.ScopeFleet}, {Scope: fleet.ScopeRegion, Region: "r"}, {Scope: fleet.ScopeNode, ID: "n1"},
	}).Draw(h.T, "target")
	switch rapid.IntRange(0, 2).Draw(h.T, "does") {
	case 0:
		h.tell(events.TypeControlPaused, target.ID, &events.ControlPaused{Target: target, Actor: "kim"})
	case 1:
		h.tell(events.TypeControlResumed, target.ID, &events.ControlResumed{Target: target, Actor: "kim"})
	default:
		h.tell(events.TypePlanApproved, "", &events.PlanApproved{Approval: "x", Basis: h.state.Sequence()})
	}
}

func (h *history) enforce() {
	if rapid.Bool().Draw(h.T, "to strict") {
		h.tell(events.TypeEnforcementEnabled, "", &events.EnforcementEnabled{})
		return
	}
	h.tell(events.TypeEnforcementDisabled, "", &events.EnforcementDisabled{})
}

// restore goes on with another State of the same log, as after a start from a snapshot.
func (h *history) restore() {
	again, err := projection.FromImage(h.state.Image())
	if err != nil {
		h.Fatal(err)
	}
	h.state = again
}
