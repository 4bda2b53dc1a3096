package events

import "github.com/fleetfold/fleetfold/pkg/fleet"

// RetryRequested says that a person does not want to wait until an attempt that
// failed, or was refused, is followed by the next. It means exactly that attempt:
// once there is a newer one it counts for nothing. What has failed so far goes on
// counting, and what a safeguard holds stays held.
type RetryRequested struct {
	Type fleet.ActionType `json:"type"`
	// ID is the node concerned; empty for the enforcement actions.
	ID fleet.NodeID `json:"id,omitempty"`
	// Action is the attempt, with all that its id follows from, as in
	// ActionRequested.
	Action     fleet.ActionID `json:"action"`
	Attempt    int            `json:"attempt"`
	Epoch      uint64         `json:"epoch"`
	Generation uint64         `json:"generation"`
	Actor      string         `json:"actor"`
	Note       string         `json:"note,omitempty"`
}

func (*RetryRequested) payload() {}

// request is the attempt that is meant.
func (d *RetryRequested) request() *ActionRequested {
	return &ActionRequested{Type: d.Type, ID: d.ID, Action: d.Action, Attempt: d.Attempt, Epoch: d.Epoch, Generation: d.Generation}
}
