package executor

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Log is what the kit needs of eventlog.Log.
type Log interface {
	Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error)
	LastOn(ctx context.Context, subject string) (uint64, error)
	// Read is that of eventlog.Log.
	Read(ctx context.Context, after uint64, limit int) ([]eventlog.Record, error)
	Subjects() events.Subjects
}

// View is a fold of the log that somebody else keeps up to date, such as
// view.View.
type View interface {
	// Read lends the state for the length of the call.
	Read(func(*projection.State))
	// Wait returns when the condition holds, which it checks after each fold.
	Wait(ctx context.Context, condition func(*projection.State) bool) error
	// Changed is closed at the next fold.
	Changed() <-chan struct{}
	// CatchUp folds up to the record that is the last one now.
	CatchUp(ctx context.Context) error
}

// Inventories finds an inventory by the digest of its text.
type Inventories interface {
	Get(ctx context.Context, digest string) (*fleet.Inventory, error)
}

// Actions hands out the actions of the log. Several executors of one fleet
// share them.
type Actions interface {
	// Next waits for the next delivery. An error other than the context's is final.
	Next(ctx context.Context) (eventlog.Delivery, error)
}

// The defaults and bounds of Config.
const (
	DefaultConcurrency = 16
	MaxConcurrency     = 256
	DefaultAckWait     = 5 * time.Second
	DefaultDeadline    = 30 * time.Second
)

// Config of an Executor. Log, View, Inventories, Actions and Handlers are required.
type Config struct {
	Log         Log
	View        View
	Inventories Inventories
	Actions     Actions
	// Handlers by type. An action of a type that has none fails with reason
	// no_handler.
	Handlers map[fleet.ActionType]Handler
	// Concurrency is how many handlers may run side by side here, 1 to 256; 0 means 16.
	Concurrency int
	// AckWait is how long a delivery may be silent before it is handed out
	// again; 0 means 5 s. The kit asks for more time at a third of it. It is how
	// long the actions of a killed executor wait for the next one, and how long an
	// executor may be stalled without its actions running a second time.
	AckWait time.Duration
	// Deadline bounds the run of an action by type, lost races included. A type
	// that is not in it has what its handler says as a Timed, or else 30 s.
	Deadline map[fleet.ActionType]time.Duration
	// Running goes up and down with the actions that are being carried out; nil
	// means that nobody looks.
	Running *atomic.Int64
	// Logger takes one INFO line for each outcome. The zero Logger is silent.
	Logger zerolog.Logger
	// Now is the clock that events and durations are stamped by; nil means time.Now.
	Now func() time.Time
	// Observe is called once for each delivery that ended; nil means nobody.
	// It is called from several goroutines.
	Observe func(Outcome)
}

// withDefaults reports every field that is wrong, all at once.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Log == nil || c.View == nil || c.Inventories == nil || c.Actions == nil {
		report("log, view, inventories and actions are all required")
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Concurrency < 1 || c.Concurrency > MaxConcurrency {
		report("concurrency is %d, must be 1 to %d", c.Concurrency, MaxConcurrency)
	}
	if c.AckWait == 0 {
		c.AckWait = DefaultAckWait
	}
	if c.AckWait < 0 {
		report("ack wait is %s, must be above 0", c.AckWait)
	}
	for kind := range c.Handlers {
		if kind.Phase() == 0 {
			report("handler for unknown action type %q", kind)
		}
	}
	for kind, d := range c.Deadline {
		if d <= 0 {
			report("deadline of %s is %s, must be above 0", kind, d)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Running == nil {
		c.Running = new(atomic.Int64)
	}
	if c.Observe == nil {
		c.Observe = func(Outcome) {}
	}
	return c, errors.Join(problems...)
}

func (c *Config) deadline(kind fleet.ActionType) time.Duration {
	if d, ok := c.Deadline[kind]; ok {
		return d
	}
	if timed, ok := c.Handlers[kind].(Timed); ok {
		return timed.Timeout()
	}
	return DefaultDeadline
}
