package executor

import (
	"context"
	"errors"
	"sync"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// errUnwanted is the cause a handler's context is cancelled with.
var errUnwanted = errors.New("the action is no longer wanted")

// wanted cancels the handlers of actions that the inventory stops asking for. A
// hold does not cancel: what has begun is better finished than left half done.
type wanted struct {
	mu sync.Mutex
	// generation and desired are the newest that was looked at; nil: none yet.
	generation uint64
	desired    *decide.Desired
	running    map[*running]struct{}
}

// running is an action of a node whose handler runs.
type running struct {
	action fleet.Action
	cancel context.CancelCauseFunc
}

// begin watches over an action that was found wanted by an inventory, until end
// is called.
func (w *wanted) begin(d decision, cancel context.CancelCauseFunc) (end func()) {
	r := &running{d.flight.Action, cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.desired != nil && w.generation > d.generation {
		w.look(r)
	}
	if w.running == nil {
		w.running = make(map[*running]struct{})
	}
	w.running[r] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.running, r)
	}
}

func (w *wanted) look(r *running) {
	if !decide.AskedOfNode(w.desired, r.action) {
		r.cancel(errUnwanted)
	}
}

// renew looks at what runs by another inventory.
func (w *wanted) renew(generation uint64, desired *decide.Desired) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.generation, w.desired = generation, desired
	for r := range w.running {
		w.look(r)
	}
}

// watchInventories looks at each inventory that comes into force, until ctx ends.
func (e *Executor) watchInventories(ctx context.Context) {
	for seen := ""; ; {
		var digest string
		var generation uint64
		err := e.View.Wait(ctx, func(s *projection.State) bool {
			digest, generation = s.Inventory().Digest, s.Inventory().Generation
			return digest != seen
		})
		if err != nil {
			return
		}
		seen = digest
		in, err := e.inForce.get(ctx, e.Inventories, digest)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// What runs goes on with what it knows; its outcome is decided anew.
			e.Logger.Warn().Err(err).Str(field.Digest, digest).Msg("could not look at new inventory")
			continue
		}
		e.wanted.renew(generation, in)
	}
}

// watch cancels the handler of an action when it is no longer asked for, until
// end is called. What is not of one node hangs on the whole fold.
func (e *Executor) watch(ctx context.Context, d decision, cancel context.CancelCauseFunc) (end func()) {
	if d.flight.Action.Type.ConcernsNode() {
		return e.wanted.begin(d, cancel)
	}
	var watcher sync.WaitGroup
	watcher.Go(func() { e.watchFleet(ctx, d, cancel) })
	return watcher.Wait
}

// watchFleet is watch for an action of the whole fleet. It ends with ctx.
func (e *Executor) watchFleet(ctx context.Context, d decision, cancel context.CancelCauseFunc) {
	for {
		var digest string
		asked := true
		err := e.View.Wait(ctx, func(s *projection.State) bool {
			digest = s.Inventory().Digest
			asked = digest != d.digest || decide.StillAsked(s, d.desired, d.flight.Action)
			return digest != d.digest || !asked
		})
		if err != nil {
			return
		}
		if !asked {
			cancel(errUnwanted)
			return
		}
		in, err := e.inForce.get(ctx, e.Inventories, digest)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// The handler goes on with what it knows; its outcome is decided anew.
			e.Logger.Warn().Err(err).Str(field.Digest, digest).Msg("could not look at new inventory")
			return
		}
		d.digest, d.desired = digest, in
	}
}
