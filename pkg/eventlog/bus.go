package eventlog

import (
	"context"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Sighting is what the lease stream says of one node.
type Sighting struct {
	Node fleet.NodeID
	// Heartbeat is the newest one; nil when the lease has ended. Sightings of a
	// node that says the same again may share it: it must not be changed.
	Heartbeat *events.Heartbeat
	// Time the server stored the heartbeat or the marker of its end.
	Time time.Time
	// Err says why a message was refused; Node may then be empty.
	Err error
}

// Statement is a credential event that a node published itself.
type Statement struct {
	Event *events.Event
	// Err says why a message was refused.
	Err error
	// Node on whose subject it came, and as which the bus let it speak; empty
	// where the subject is no node's.
	Node fleet.NodeID
}

// Delivery is one action handed to an executor. Deliveries of several
// executors that share a fleet are disjoint until one is not acknowledged in time.
type Delivery struct {
	Record Record
	// Again says that it was handed out before.
	Again bool
	// Ack ends the delivery for good and waits for the server's word.
	Ack func(ctx context.Context) error
	// InProgress asks for more time.
	InProgress func() error
	// Retry gives the delivery back, to be handed out again after delay.
	Retry func(delay time.Duration) error
}
