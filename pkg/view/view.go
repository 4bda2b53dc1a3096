package view

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// Errors a caller branches on. A log with a gap is eventlog.ErrGap.
var (
	// ErrStopped means that the view was stopped and folds no more.
	ErrStopped = errors.New("view has stopped")
	errRunning = errors.New("view was run before")
)

// View folds a log as it grows. All methods may be called from any goroutine,
// except from within a function that Read, Wait or a hook was given.
type View struct {
	log     eventlog.Log
	asked   end // of the log, by CatchUp
	source  Source
	hooks   []func(eventlog.Record, projection.Change)
	onStart []func(*projection.State)

	mu        sync.RWMutex
	state     *projection.State
	mark      snapshot.Mark            // of the last record folded
	began     uint64                   // sequence of the snapshot that the fold began with
	changed   chan struct{}            // closed and replaced at each fold
	targets   map[uint64]chan struct{} // that somebody waits to be folded up to
	cursor    eventlog.Cursor
	confirmed time.Time // by the cursor that was closed
	end       uint64    // of the log when Run began
	started   bool
	followed  bool
	err       error
}

// New returns a View that folds the log from its beginning. It knows nothing
// until it runs.
func New(log eventlog.Log) *View {
	return &View{log: log, asked: end{ask: log.Last}, state: projection.New(), changed: make(chan struct{})}
}

// Source returns the snapshot to begin with, nil for none: then the log is
// folded from its beginning. An error ends Run.
type Source func(ctx context.Context) (*snapshot.Snapshot, error)

// Resume returns a View that begins with a snapshot and folds what the log has
// behind it. Apart from the hooks nobody can tell it from one that folded the
// whole log. The source is asked once, by Run.
func Resume(log eventlog.Log, source Source) *View {
	v := New(log)
	v.source = source
	return v
}

// OnStart adds a hook that sees the state that the fold begins with, once and
// before any record: that of a snapshot, or the empty one. Whoever counts or
// collects records counts or collects first what that state holds. The hook must
// not change it or keep it. Add hooks before Run.
func (v *View) OnStart(hook func(*projection.State)) {
	v.onStart = append(v.onStart, hook)
}

// OnRecord adds a hook that sees each record that is folded, old ones first, and
// what it changed. Those that a snapshot stands for are not folded: see OnStart.
// Readers wait while a hook runs. Add hooks before Run.
func (v *View) OnRecord(hook func(eventlog.Record, projection.Change)) {
	v.hooks = append(v.hooks, hook)
}

// Run follows the log and folds it until ctx ends, when it returns nil, or
// until following on is impossible, such as after a gap. It can run once.
func (v *View) Run(ctx context.Context) error {
	v.mu.Lock()
	again := v.started
	v.started = true
	v.mu.Unlock()
	if again {
		return errRunning
	}
	err := v.follow(ctx)
	if ctx.Err() != nil && !errors.Is(err, eventlog.ErrGap) {
		v.stop(ErrStopped)
		return nil
	}
	v.stop(err)
	return err
}

func (v *View) follow(ctx context.Context) error {
	first, err := v.first(ctx)
	if err != nil {
		return err
	}
	end, err := v.log.Last(ctx)
	if err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	cursor, err := v.log.Follow(ctx, first.Mark.Sequence)
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	defer cursor.Close()
	v.begin(first, cursor, end)
	return v.foldAll(ctx, cursor)
}

// first is the snapshot to begin with; that of an empty log when there is none.
func (v *View) first(ctx context.Context) (*snapshot.Snapshot, error) {
	if v.source == nil {
		return &snapshot.Snapshot{State: projection.New()}, nil
	}
	s, err := v.source(ctx)
	if err != nil {
		return nil, fmt.Errorf("find a snapshot to begin with: %w", err)
	}
	if s == nil {
		return &snapshot.Snapshot{State: projection.New()}, nil
	}
	return s, nil
}

// begin also wakes everybody: with an empty log, or with one that a snapshot
// holds to its end, the view has caught up.
func (v *View) begin(first *snapshot.Snapshot, cursor eventlog.Cursor, end uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state, v.mark, v.began = first.State, first.Mark, first.Mark.Sequence
	v.cursor, v.end, v.followed = cursor, end, true
	for _, hook := range v.onStart {
		hook(v.state)
	}
	v.wake()
}

func (v *View) fold(records []eventlog.Record) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.wake()
	for _, r := range records {
		change, err := snapshot.Fold(v.state, v.log.Subjects(), r)
		if err != nil {
			return err
		}
		v.mark = snapshot.MarkOf(r)
		for _, hook := range v.hooks {
			hook(r, change)
		}
	}
	return nil
}

func (v *View) stop(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cursor != nil {
		v.confirmed = v.cursor.Confirmed()
		v.cursor = nil
	}
	v.err = err
	v.wake()
}

// wake wakes whoever waits. The lock is held.
func (v *View) wake() {
	close(v.changed)
	v.changed = make(chan struct{})
	v.wakeReached()
}

// Read lends the state for the length of the call. The function must not
// change it, keep it, or call the View.
func (v *View) Read(read func(*projection.State)) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	read(v.state)
}

// Still is the state as it is now, for a snapshot, and the record that it ends
// with. The fold waits while it is made.
func (v *View) Still() (*projection.Still, snapshot.Mark) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Still(), v.mark
}

// Mark is the last record folded.
func (v *View) Mark() snapshot.Mark {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mark
}

// Began is the sequence of the snapshot that the fold began with, 0 without one.
func (v *View) Began() uint64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.began
}

// Changed is closed at the next fold, when the view has caught up for the
// first time, and when it stops. Take it before looking at the state.
func (v *View) Changed() <-chan struct{} {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.changed
}

// Wait returns nil when the condition holds for the state. It looks at once
// and after each fold; a state that several records in a row only pass through
// may not be seen. It returns an error when ctx ends or the view has stopped.
func (v *View) Wait(ctx context.Context, condition func(*projection.State) bool) error {
	for {
		holds, changed, err := v.look(condition)
		if err != nil {
			return fmt.Errorf("wait for the log: %w", err)
		}
		if holds {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the log: %w", context.Cause(ctx))
		}
	}
}

func (v *View) look(condition func(*projection.State) bool) (holds bool, changed <-chan struct{}, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.err != nil {
		return false, nil, v.err
	}
	return condition(v.state), v.changed, nil
}

// CatchUp returns when everything is folded that is on the log now. Many who
// call it at the same time ask the log once.
func (v *View) CatchUp(ctx context.Context) error {
	if err := v.Err(); err != nil {
		return fmt.Errorf("catch up with the log: %w", err)
	}
	last, err := v.asked.get(ctx)
	if err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	return v.reach(ctx, last)
}

// CaughtUp says that the view has folded what was on the log when it began to
// run. From then on it stays true: CatchUp and Confirmed tell how fresh it is.
func (v *View) CaughtUp() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.followed && v.state.Sequence() >= v.end
}

// Confirmed is when the log last confirmed that the view was at its end or
// delivered a record; zero before Run.
func (v *View) Confirmed() time.Time {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.cursor == nil {
		return v.confirmed
	}
	return v.cursor.Confirmed()
}

// Err says why the view has stopped: ErrStopped when its context ended; nil
// while it runs and before.
func (v *View) Err() error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.err
}
