package engine

import (
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// The reasons for which Dispatch holds an action. When several apply, the
// first of this list is given.
const (
	// ReasonInFlight: the node has an action without an outcome, of whatever
	// type; for an enforcement action, another enforcement action has none.
	// The next outcome ends it.
	ReasonInFlight fleet.Reason = "in_flight"
	// ReasonBackingOff: the last attempt failed or was refused, and the wait
	// that follows is not over. Time ends it, see Dispatched.Wake, and so does a
	// person who wants the need retried.
	ReasonBackingOff fleet.Reason = "backing_off"
	// ReasonMaxInFlight: as many actions as the policy allows have no outcome.
	// Any outcome ends it for the first of the held.
	ReasonMaxInFlight fleet.Reason = "max_in_flight"
)

// Need is what an action is for: its type and, unless it concerns the whole
// fleet, its node.
type Need = fleet.Action

// Attempts is what the ledger knows of one need. The zero value means that it
// was never tried.
type Attempts struct {
	// Published counts the attempts published for this need at the node's
	// present epoch and the inventory's present generation.
	Published int
	// Failures counts consecutive failures; a success makes it 0.
	Failures int
	// LastOutcome is when the last attempt ended; zero if none has.
	LastOutcome time.Time
	// LastRefused says that the last outcome was a refusal.
	LastRefused bool
	// LastError says why the last outcome was no success, "reason: detail"; for
	// people only.
	LastError string
	// Retry says that a person does not want the next attempt to wait.
	Retry bool
}

// Ledger is what the log tells of the actions published so far. Dispatch only
// reads it, and it must not change meanwhile.
type Ledger interface {
	// Outstanding is how many actions have no outcome.
	Outstanding() int
	// InFlight is the action without an outcome for that node, if there is one;
	// the empty id asks for the enforcement action.
	InFlight(id fleet.NodeID) (fleet.ActionID, fleet.ActionType, bool)
	// Attempts is what was tried for a need.
	Attempts(need Need) Attempts
	// Epoch counts the lives of a node; the empty id asks for the fleet's.
	Epoch(id fleet.NodeID) uint64
}

// Step is an action to be published, with all that its id follows from.
type Step struct {
	fleet.Action
	ActionID fleet.ActionID `json:"action_id"`
	// Attempt is counted from 1.
	Attempt int `json:"attempt"`
	// Epoch is the node's, or the fleet's for an enforcement action.
	Epoch uint64 `json:"epoch"`
	// Generation is the inventory's.
	Generation uint64 `json:"generation"`
}

// Dispatched divides a plan into what to publish and what to hold. Both keep
// the plan's order, and together they are the plan.
type Dispatched struct {
	Publish []Step       `json:"publish"`
	Held    []fleet.Held `json:"held"`
	// Wake is the earliest end of a backoff: when to decide again even if
	// nothing happens. Zero: nothing is backing off.
	Wake time.Time `json:"wake,omitzero"`
}

// Dispatch says which actions of a plan to publish now. Held are those whose
// node, or whose fleet, has an action in flight; those whose last attempt
// failed or was refused too short a while ago; and those for which there is no
// room under the policy's cap.
//
// Room is given in plan order, so that once one action has found none, no
// later one gets any: phases do not overtake one another because of the cap.
// An action held for another reason holds up nobody else. In particular a
// ghost that cannot be removed does not keep EnableStrictEnforcement from
// being published, which Reconcile plans only when every desired node is fine.
//
// The policy must be valid. The same arguments give the same answer.
func Dispatch(plan fleet.Plan, ledger Ledger, generation uint64, policy Policy, now time.Time) Dispatched {
	d := dispatcher{
		ledger: ledger, policy: policy, generation: generation, now: now,
		room: policy.MaxInFlight - ledger.Outstanding(),
	}
	for _, action := range plan.Actions {
		d.decide(action)
	}
	return d.out
}

// dispatcher is one run of Dispatch.
type dispatcher struct {
	ledger     Ledger
	policy     Policy
	generation uint64
	now        time.Time

	room   int                             // how many more may be published
	claims map[fleet.NodeID]fleet.ActionID // published by this run, by node; "" is the fleet
	full   string                          // the detail of ReasonMaxInFlight, once it is needed
	out    Dispatched
}

func (d *dispatcher) decide(action fleet.Action) {
	if other, busy := d.inFlight(action.ID); busy {
		d.hold(action, ReasonInFlight, "waiting for the outcome of "+string(other))
		return
	}
	past := d.ledger.Attempts(action)
	until := d.backoff(action, past)
	switch {
	case until.After(d.now):
		d.hold(action, ReasonBackingOff, why(past, until))
		if d.out.Wake.IsZero() || until.Before(d.out.Wake) {
			d.out.Wake = until
		}
	case d.room <= 0:
		if d.full == "" {
			d.full = fmt.Sprintf("%d actions may be in flight", d.policy.MaxInFlight)
		}
		d.hold(action, ReasonMaxInFlight, d.full)
	default:
		d.publish(d.step(action, past))
	}
}

// inFlight names the action that the node, or for "" the fleet, waits for:
// one of the ledger's or one published a moment ago.
func (d *dispatcher) inFlight(id fleet.NodeID) (fleet.ActionID, bool) {
	if other, _, busy := d.ledger.InFlight(id); busy {
		return other, true
	}
	other, busy := d.claims[id]
	return other, busy
}

// backoff is when the next attempt may be made; zero: at once.
func (d *dispatcher) backoff(action fleet.Action, past Attempts) time.Time {
	if past.Retry || past.LastOutcome.IsZero() || past.Failures == 0 && !past.LastRefused {
		return time.Time{}
	}
	return past.LastOutcome.Add(d.policy.wait(past, d.step(action, past).ActionID))
}

// why says when the next attempt is due, and what happened to the last one.
func why(past Attempts, until time.Time) string {
	text := "until " + until.UTC().Format(time.RFC3339)
	switch {
	case past.LastRefused:
		text += ", after a refusal"
	case past.Failures == 1:
		text += ", after 1 failure"
	default:
		text += fmt.Sprintf(", after %d failures in a row", past.Failures)
	}
	if past.LastError != "" {
		text += ": " + cause(past.LastError)
	}
	return text
}

func (d *dispatcher) step(action fleet.Action, past Attempts) Step {
	epoch, attempt := d.ledger.Epoch(action.ID), past.Published+1
	return Step{
		Action: action, ActionID: ActionIDFor(action, epoch, d.generation, attempt),
		Attempt: attempt, Epoch: epoch, Generation: d.generation,
	}
}

func (d *dispatcher) publish(step Step) {
	d.out.Publish = append(d.out.Publish, step)
	if d.claims == nil {
		d.claims = make(map[fleet.NodeID]fleet.ActionID)
	}
	d.claims[step.ID] = step.ActionID
	d.room--
}

func (d *dispatcher) hold(action fleet.Action, reason fleet.Reason, detail string) {
	d.out.Held = append(d.out.Held, fleet.Held{Action: action, Reason: reason, Detail: detail})
}
