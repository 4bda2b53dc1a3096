package explain

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// State is what becomes of something that the plan wants, or that is in flight.
type State string

// The states. Each pending action has exactly one.
const (
	// ToPublish: nothing holds it up, and planners publish it with their next plan.
	ToPublish State = "to_publish"
	// InFlight: published, and without an outcome.
	InFlight State = "in_flight"
	// Held: a safeguard holds it, see Reason; Until, where time ends that.
	Held State = "held"
	// BackingOff: the last attempt failed or was refused, and the next waits.
	BackingOff State = "backing_off"
	// Blocked: something else has to end first, see Reason and BlockedBy.
	Blocked State = "blocked"
)

// Pending is an action that the plan wants, or one in flight.
type Pending struct {
	fleet.Action
	State State `json:"state"`
	// Reason and Detail are those of the hold: for Held of engine.Hold, else of
	// engine.Dispatch. An action in flight has them where a safeguard holds it by
	// now: an executor that has not begun refuses it.
	Reason fleet.Reason `json:"reason,omitempty"`
	Detail string       `json:"detail,omitempty"`
	// Until is when time alone ends it; zero: it does not.
	Until time.Time `json:"until,omitzero"`
	// ActionID, Attempt and Published are those of the action in flight; without
	// one the first two are those of the next attempt, and Published is 0.
	ActionID  fleet.ActionID `json:"action_id,omitempty"`
	Attempt   int            `json:"attempt,omitempty"`
	Published uint64         `json:"published,omitempty"`
	Since     time.Time      `json:"since,omitzero"`
	// BlockedBy are the actions in flight that it waits for: another one of the
	// node, or those of an earlier phase of the same plan.
	BlockedBy []fleet.ActionID `json:"blocked_by,omitempty"`
	// Failures in a row so far, and what the last outcome said.
	Failures  int    `json:"failures,omitempty"`
	LastError string `json:"last_error,omitempty"`
	// Stuck says that so many failed that the fleet waits for what keeps failing.
	Stuck bool `json:"stuck,omitempty"`
	// Retry says that a person does not want it to wait for its next attempt.
	Retry bool `json:"retry,omitempty"`
	// Unwanted says that it is in flight and the plan does not have it any more: an
	// executor that has not begun refuses it.
	Unwanted bool `json:"unwanted,omitempty"`
}
