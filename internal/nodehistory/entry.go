package nodehistory

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Entry is one line of the story.
type Entry struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// Type of the event.
	Type events.Type `json:"type"`
	// Changed says what is otherwise from here on, such as "present"; empty where
	// that is nothing.
	Changed []string `json:"changed"`
	// Detail is what the event says besides.
	Detail string `json:"detail,omitempty"`
	// Plan and Action that the event belongs to.
	Plan   fleet.PlanID   `json:"plan,omitempty"`
	Action fleet.ActionID `json:"action,omitempty"`
	// State of the node behind this event.
	State State `json:"state"`
}

// State is what is known of the node.
type State struct {
	// Desired, and in which region; as far as the inventory could be read.
	Desired bool   `json:"desired"`
	Region  string `json:"region,omitempty"`
	// Observed: the log has heard of its present life, which is counted by Epoch.
	Observed bool   `json:"observed"`
	Epoch    uint64 `json:"epoch"`
	Present  bool   `json:"present"`
	CanSign  bool   `json:"can_sign"`
}
