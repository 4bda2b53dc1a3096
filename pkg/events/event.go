package events

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Event is one CloudEvent of a registered type, with its data decoded.
type Event struct {
	// ID is unique within Source; deterministic where the event has a cause.
	ID string
	// Source is a component such as "fleetfold/planner", NodeSource(id), or a
	// node's SPIFFE ID on what the node signed.
	Source string
	Type   Type
	// Node is the CloudEvents subject; empty for events of the whole fleet.
	Node fleet.NodeID
	// Time the event was made, by the clock of its source.
	Time time.Time
	// TraceParent is the W3C trace context; may be empty.
	TraceParent string
	// Step places an action in its plan; nil on everything else.
	Step *Step
	// DSSEMaterial is the signature envelope of credential.proved and
	// credential.renewal-requested; nil elsewhere.
	DSSEMaterial []byte
	// Data is the payload that belongs to Type.
	Data Payload
	// Body is the data as bytes. Decode keeps the bytes that came, and Encode
	// sends them again unchanged, so that a signature over them still holds.
	// Leave nil on a new event: Encode marshals Data.
	Body []byte
}

// Step is the place of an action in its plan.
type Step struct {
	Plan fleet.PlanID
	// Step counts from 1 to Steps.
	Step, Steps int
	// Basis is the sequence of the log that the plan was decided on.
	Basis uint64
}

// Sources of the components.
const (
	SourcePlanner  = "fleetfold/planner"
	SourceExecutor = "fleetfold/executor"
	SourceOperator = "fleetfold/operator"
)

// NodeSource is the source of what a node says without a signature.
func NodeSource(id fleet.NodeID) string { return "fleetfold/node/" + Token(id) }

// Message is an event on the wire: a NATS message without the NATS types.
type Message struct {
	Subject string
	Header  map[string][]string
	Data    []byte
}
