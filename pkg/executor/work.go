package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// work carries one delivery to its end, or to where it has to be decided again,
// or leaves it to Run when ctx ends.
func (s *scheduler) work(ctx context.Context, h *held) {
	s.Running.Add(1)
	defer s.Running.Add(-1)
	out, stored, err := s.settle(ctx, h)
	switch {
	case errors.Is(err, eventlog.ErrConflict):
		s.tell(ctx, note{held: h, what: raceLost})
	case err == nil:
		s.tell(ctx, note{held: h, what: actionEnded, stored: stored})
		s.finish(ctx, h, out)
	case ctx.Err() == nil:
		s.postpone(h, err)
		s.tell(ctx, note{held: h, what: actionEnded})
	}
}

// settle returns once the log holds the action's outcome, or with
// eventlog.ErrConflict when a race was lost; the next turn folds on and decides
// anew. A race is also lost to what stands on the outcome's subject and is none:
// what does not fit, or came before the action. The next turn folds it, and if the
// action is still in flight then, its outcome goes behind it.
func (s *scheduler) settle(ctx context.Context, h *held) (out Outcome, stored uint64, err error) {
	timeout := s.deadline(h.request.Type)
	if h.began.IsZero() {
		h.began, h.until = s.Now(), time.Now().Add(timeout)
	}
	if err := s.catchUp(ctx, h); err != nil {
		return Outcome{}, 0, err
	}
	d, err := s.decide(ctx, h.request.Action)
	switch {
	case err != nil:
		return Outcome{}, 0, err
	case d.basis < h.stands:
		return Outcome{}, 0, fmt.Errorf("fold up to %d, which stands where the outcome belongs: the log ends at %d", h.stands, d.basis)
	case !d.inFlight || d.flight.Sequence != h.seq:
		out, err = s.alreadySettled(ctx, h)
		return out, 0, err
	}
	runCtx, cancel := context.WithDeadline(ctx, h.until)
	entries, out := s.attempt(runCtx, s.task(h, d, timeout), d, h.began)
	cancel()
	// The fold has read what stands there, and it has not ended the action.
	entries[len(entries)-1].Fence = eventlog.LastOnSubject(h.stands)
	if ctx.Err() != nil {
		return Outcome{}, 0, ctx.Err() // told to stop: what was done counts for nothing yet
	}
	stored, err = s.store(ctx, h, entries)
	return out, stored, err
}

// store returns once the log holds the outcome.
func (s *scheduler) store(ctx context.Context, h *held, entries []eventlog.Entry) (uint64, error) {
	last, sent, err := s.append(ctx, h, entries)
	switch {
	case err == nil:
		s.heard.note(last, sent)
		return last, nil
	case !errors.Is(err, eventlog.ErrConflict):
		return 0, fmt.Errorf("append outcome: %w", err)
	}
	h.again = true
	if h.stands, err = s.lastOutcome(ctx, h); err != nil {
		return 0, err
	}
	s.Logger.Debug().Str(field.Action, string(h.request.Action)).Msg("log moved on, deciding again")
	return 0, eventlog.ErrConflict
}

// append gives the slot back as soon as the outcome is on its way. Strictly one by
// one, the next action waits until it is stored.
func (s *scheduler) append(ctx context.Context, h *held, entries []eventlog.Entry) (last uint64, sent time.Time, err error) {
	if s.Concurrency == 1 {
		sent = time.Now()
		last, err = s.outcomes.Append(ctx, entries...)
		return last, sent, err
	}
	queued := s.outcomes.Queue(ctx, entries...)
	s.tell(ctx, note{held: h, what: handlerEnded})
	last, err = queued.Wait()
	return last, queued.Sent(), err
}

func (e *Executor) task(h *held, d decision, timeout time.Duration) Task {
	return Task{
		Flight: d.flight, Node: d.desired.Node(d.flight.Action.ID), Inventory: d.desired.Inventory,
		Generation: d.generation, Basis: d.basis, Timeout: timeout, TraceParent: h.event.TraceParent,
	}
}

// attempt returns what is to be appended, the outcome last.
func (e *Executor) attempt(ctx context.Context, t Task, d decision, began time.Time) ([]eventlog.Entry, Outcome) {
	if d.refuse != "" {
		return e.refused(t, d.refuse, d.why, began)
	}
	handler := e.Handlers[t.Flight.Action.Type]
	if handler == nil {
		return e.failed(t, &Failure{ReasonNoHandler, "this executor has no handler for " + string(t.Flight.Action.Type)}, began)
	}
	if e.overdue.has(t.Flight.Action.ID) {
		return e.failed(t, &Failure{ReasonStillRunning, "an earlier run has not ended, though its deadline has passed"}, began)
	}
	if ctx.Err() != nil {
		return e.failed(t, &Failure{ReasonDeadlineExceeded, fmt.Sprintf("the log moved on under every decision for %s", t.Timeout)}, began)
	}
	result, err := e.handle(ctx, handler, t, d)
	switch {
	case err == nil:
		return e.succeeded(t, result, began)
	case errors.Is(err, errUnwanted):
		return e.refused(t, ReasonNoLongerWanted, "the inventory changed while the action was running", began)
	}
	return e.failed(t, failureOf(err, ctx.Err() != nil), began)
}

// handle runs the handler, and cancels it when the inventory stops asking for
// its action. A handler that succeeded all the same has succeeded.
func (e *Executor) handle(deadline context.Context, handler Handler, t Task, d decision) (Result, error) {
	ctx, cancel := context.WithCancelCause(deadline)
	unwatch := e.watch(ctx, d, cancel)
	result, err := e.inTime(ctx, deadline, handler, t)
	unwanted := errors.Is(context.Cause(ctx), errUnwanted)
	cancel(nil)
	unwatch()
	if err != nil && unwanted {
		return Result{}, errUnwanted
	}
	return result, err
}

// guarded turns a panic into a failure: the action would be handed out again
// and take down one executor after the other.
func guarded(ctx context.Context, handler Handler, t Task) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Failed(ReasonHandlerPanic, "%v\n%s", p, firstBytes(debug.Stack(), 2000))
		}
	}()
	return handler.Handle(ctx, t)
}

func firstBytes(b []byte, n int) []byte { return b[:min(len(b), n)] }
