package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Handler carries out the actions of one type. It is called from several
// goroutines, never twice at once for one node.
type Handler interface {
	// Handle returns when the action is done, or says why it cannot be. It must
	// return when ctx ends: a second after its deadline the action fails without
	// it, and none of the node's is begun here until it has returned.
	Handle(ctx context.Context, task Task) (Result, error)
}

// Timed is a Handler that knows how long its actions may take.
type Timed interface{ Timeout() time.Duration }

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, task Task) (Result, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, task Task) (Result, error) { return f(ctx, task) }

// Task is one action to carry out, with the decision that it is wanted.
type Task struct {
	// Flight is the action as the ledger knows it.
	Flight projection.Flight
	// Node is the entry of the inventory; nil for enforcement actions and for
	// nodes that the inventory does not name.
	Node *fleet.Node
	// Inventory that was decided with, and its generation. Not to be modified.
	Inventory  *fleet.Inventory
	Generation uint64
	// Basis is the sequence of the fold that was decided on.
	Basis uint64
	// Timeout is how long all runs of this action may take together.
	Timeout time.Duration
	// TraceParent of the action; may be empty.
	TraceParent string
}

// Fact is a new event about the task's node, if it has one. The id follows
// from the type, the action and the parts, so that a second run that states the
// same fact gives it the same id.
func (t Task) Fact(now time.Time, kind events.Type, data events.Payload, parts ...string) *events.Event {
	cause := append([]string{string(kind), string(t.Flight.ID)}, parts...)
	return &events.Event{
		ID: events.NewID(cause...), Source: events.SourceExecutor, Type: kind,
		Node: t.Flight.Action.ID, Time: now, TraceParent: t.TraceParent, Data: data,
	}
}

// Result of an action that was done.
type Result struct {
	// Closing facts are stored in one atomic batch with action.succeeded, in
	// front of it. Only the first of several on one subject can be fenced.
	Closing []eventlog.Entry
}

// The reasons that the kit itself gives to a failure or a refusal.
const (
	ReasonHandlerError     fleet.Reason = "handler_error"
	ReasonHandlerPanic     fleet.Reason = "handler_panic"
	ReasonNoHandler        fleet.Reason = "no_handler"
	ReasonDeadlineExceeded fleet.Reason = "deadline_exceeded"
	// ReasonStillRunning: a handler heeded no deadline and still runs for the
	// node; a second one must not run beside it.
	ReasonStillRunning   fleet.Reason = "still_running"
	ReasonNoLongerWanted fleet.Reason = "no_longer_wanted"
	// ReasonHeld: a safeguard holds the action that was free when it was
	// published. The detail begins with the reason of engine.Hold.
	ReasonHeld fleet.Reason = "held"
	// ReasonMisfit: a parked message is no action that this executor knows.
	ReasonMisfit fleet.Reason = "misfit"
	// ReasonNotCounted: the ledger took no notice of a parked action, since its
	// epoch or attempt was over when it was published, or its id was used twice.
	ReasonNotCounted fleet.Reason = "not_counted"
)

// Failure is an error with the reason word of action.failed.
type Failure struct {
	Reason fleet.Reason
	// Detail is one sentence for a person.
	Detail string
}

func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Detail }

// Failed makes a *Failure.
func Failed(reason fleet.Reason, format string, args ...any) error {
	return &Failure{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// maxDetail bounds the detail of an outcome, in bytes. A node may have written it,
// such as why it makes no certificate request, and the log keeps it for good.
const maxDetail = 4096

// failureOf finds the reason in err; late says that the deadline had passed.
func failureOf(err error, late bool) *Failure {
	f := Failure{Reason: ReasonHandlerError, Detail: err.Error()}
	if named, ok := errors.AsType[*Failure](err); ok {
		f = *named
	} else if late {
		f.Reason = ReasonDeadlineExceeded
	}
	if len(f.Detail) > maxDetail {
		f.Detail = strings.ToValidUTF8(f.Detail[:maxDetail], "") + "…"
	}
	return &f
}
