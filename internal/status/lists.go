package status

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// ActionState says what an action waits for.
type ActionState string

// The states of actions.
const (
	ActionInFlight ActionState = "in_flight" // published, and without an outcome
	ActionDue      ActionState = "due"       // wanted, and held by nothing
	ActionHeld     ActionState = "held"      // wanted, and held by a safeguard
	ActionWaiting  ActionState = "waiting"   // wanted, and waiting for time or room
	ActionStuck    ActionState = "stuck"     // wanted, failed often, and waiting for the next attempt
)

// Action is one that is in flight, or that the plan wants.
type Action struct {
	Type fleet.ActionType `json:"type"`
	ID   fleet.NodeID     `json:"id,omitempty"`
	// Region of the node in the inventory; empty where it is in none.
	Region string      `json:"region,omitempty"`
	State  ActionState `json:"state"`
	// Action is the id of the attempt in flight, or of the next one; empty while
	// something holds it.
	Action fleet.ActionID `json:"action,omitempty"`
	// Plan, Sequence and Since of an attempt in flight.
	Plan     fleet.PlanID `json:"plan,omitempty"`
	Sequence uint64       `json:"sequence,omitempty"`
	Since    *time.Time   `json:"since,omitempty"`
	// Attempt counts from 1; of the one in flight, or of the next.
	Attempt int `json:"attempt,omitempty"`
	// Failures in a row of this need.
	Failures int `json:"failures,omitempty"`
	// Stuck says that it failed as often in a row as the policy's StuckAfter.
	Stuck bool `json:"stuck"`
	// Reason and Detail of why it is not published now.
	Reason fleet.Reason `json:"reason,omitempty"`
	Detail string       `json:"detail,omitempty"`
}

// Actions lists what is in flight, in the order of publication, and then what
// else the plan wants, in plan order. A planner is taken to be warm.
func Actions(st *projection.State, inv *fleet.Inventory, now time.Time) []Action {
	list, regions := []Action{}, regionsOf(inv)
	flying := make(map[fleet.Action]bool)
	stuck := make(map[fleet.Action]engine.Stuck)
	var decided decide.Decided
	if inv != nil {
		decided = decide.Plan(st, inv, warm(st, now))
	}
	for _, s := range decided.Stuck {
		stuck[s.Action] = s
	}
	describe := func(a Action) Action {
		s, is := stuck[fleet.Action{Type: a.Type, ID: a.ID}]
		a.Region, a.Stuck, a.Failures = regions[a.ID], is, s.Failures
		return a
	}
	for _, f := range st.Ledger().Flights() {
		flying[f.Action] = true
		since := f.At.UTC()
		list = append(list, describe(Action{
			Type: f.Action.Type, ID: f.Action.ID, State: ActionInFlight, Action: f.ID, Plan: f.Plan,
			Sequence: f.Sequence, Since: &since, Attempt: f.Attempt,
		}))
	}
	ready, held := make(map[fleet.Action]engine.Step), make(map[fleet.Action]fleet.Held)
	for _, step := range decided.Publish {
		ready[step.Action] = step
	}
	for _, h := range decided.Held {
		held[h.Action] = h
	}
	for _, a := range decided.Plan.Actions {
		if !flying[a] {
			list = append(list, describe(wanted(a, ready[a], held[a], stuck[a])))
		}
	}
	return list
}

// wanted is an action that the plan wants and that is not in flight.
func wanted(a fleet.Action, ready engine.Step, held fleet.Held, stuck engine.Stuck) Action {
	w := Action{Type: a.Type, ID: a.ID, State: ActionDue, Action: ready.ActionID, Attempt: ready.Attempt, Reason: held.Reason, Detail: held.Detail}
	switch {
	case held.Reason == "":
	case stuck.Failures > 0 && held.Reason == engine.ReasonBackingOff:
		w.State = ActionStuck
	case waits(held.Reason):
		w.State = ActionWaiting
	default:
		w.State = ActionHeld
	}
	return w
}

// waits says that time or an outcome ends it, and no safeguard is behind it.
func waits(r fleet.Reason) bool {
	return r == engine.ReasonBackingOff || r == engine.ReasonMaxInFlight || r == engine.ReasonInFlight
}

// regionsOf is the region of each desired node; empty without an inventory.
func regionsOf(inv *fleet.Inventory) map[fleet.NodeID]string {
	regions := make(map[fleet.NodeID]string)
	if inv != nil {
		for i := range inv.Regions {
			for j := range inv.Regions[i].Nodes {
				regions[inv.Regions[i].Nodes[j].ID] = inv.Regions[i].Name
			}
		}
	}
	return regions
}

// Hold is what of the plan is not published now, and why.
type Hold struct {
	fleet.Held
	// Region of the node in the inventory; empty where it is in none.
	Region string `json:"region,omitempty"`
	// Approval is what a person may approve to end the hold; empty where it ends
	// in another way.
	Approval fleet.ApprovalID `json:"approval,omitempty"`
}

// Holds lists what of the plan is held, as Status.Held does: first by a
// safeguard, then what waits for time or room.
func Holds(st *projection.State, inv *fleet.Inventory, now time.Time) []Hold {
	list := []Hold{}
	if inv == nil {
		return list
	}
	regions := regionsOf(inv)
	approval, _ := Waiting(st, inv, now)
	for _, h := range held(st, inv, engine.Reconcile(inv, st.Observed()), now) {
		one := Hold{Held: h, Region: regions[h.ID]}
		if h.Reason == engine.ReasonRemovalBudget {
			one.Approval = approval.ID
		}
		list = append(list, one)
	}
	return list
}

// Plan is a published plan.
type Plan struct {
	Plan     fleet.PlanID `json:"plan"`
	Sequence uint64       `json:"sequence"`
	Time     time.Time    `json:"time"`
	// Basis is the sequence that it was decided on, under that inventory.
	Basis      uint64 `json:"basis"`
	Generation uint64 `json:"generation"`
	Digest     string `json:"inventory_digest"`
	// RuleVersion of the decision.
	RuleVersion string `json:"rule_version"`
	// Actions published, and how many of each type.
	Actions []events.ActionRequested `json:"actions"`
	Counts  map[fleet.ActionType]int `json:"counts"`
	// Held counts what the plan wanted and did not publish.
	Held int `json:"held"`
	// Open counts its actions that have no outcome.
	Open int `json:"open"`
	// Shard that it is of; empty in a fleet that was one then.
	Shard string `json:"shard,omitempty"`
}

// PlanOf is the plan that a record published; false for any other record. What
// is open of it is for the caller to say.
func PlanOf(r eventlog.Record) (Plan, bool) {
	if r.Event == nil {
		return Plan{}, false
	}
	d, ok := r.Event.Data.(*events.PlanDecided)
	if !ok {
		return Plan{}, false
	}
	p := Plan{
		Plan: d.Plan, Sequence: r.Sequence, Time: r.Time.UTC(), Basis: d.Basis, Generation: d.Generation, Digest: d.InventoryDigest,
		RuleVersion: d.RuleVersion, Actions: append([]events.ActionRequested{}, d.Actions...), Held: d.HeldTotal,
		Counts: make(map[fleet.ActionType]int), Shard: d.Shard,
	}
	for _, a := range d.Actions {
		p.Counts[a.Type]++
	}
	return p, true
}

// Open counts the actions without an outcome by plan.
func Open(st *projection.State) map[fleet.PlanID]int {
	open := make(map[fleet.PlanID]int)
	for _, f := range st.Ledger().Flights() {
		open[f.Plan]++
	}
	return open
}

// Regions names those of an inventory, each once.
func Regions(inv *fleet.Inventory) (names []string) {
	known := make(map[string]bool)
	if inv != nil {
		for _, r := range inv.Regions {
			if !known[r.Name] {
				known[r.Name] = true
				names = append(names, r.Name)
			}
		}
	}
	return names
}
