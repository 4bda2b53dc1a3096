package executor

import (
	"context"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Kind says how a delivery ended.
type Kind string

// The kinds. The first three are outcomes on the log.
const (
	KindSucceeded Kind = "succeeded"
	KindFailed    Kind = "failed"
	KindRefused   Kind = "refused"
	// KindKnown: the action had an outcome already.
	KindKnown Kind = "known"
	// KindParked: the message is no action that anybody could carry out.
	KindParked Kind = "parked"
	// KindGivenBack: the log or the inventory could not be reached; handed out again.
	KindGivenBack Kind = "given_back"
)

// Outcome of one delivery.
type Outcome struct {
	// Flight is what the ledger knows; of a parked message only the sequence.
	Flight projection.Flight
	Kind   Kind
	// Reason and Detail of a failure, a refusal, a parked or given back delivery.
	Reason   fleet.Reason
	Detail   string
	Duration time.Duration
}

func (e *Executor) succeeded(t Task, r Result, began time.Time) ([]eventlog.Entry, Outcome) {
	took := e.Now().Sub(began)
	a := t.Flight.Action
	closing := append([]eventlog.Entry(nil), r.Closing...)
	return append(closing, e.outcome(t, events.TypeActionSucceeded, &events.ActionSucceeded{
		Type: a.Type, ID: a.ID, Action: t.Flight.ID, DurationMS: took.Milliseconds(),
	})), Outcome{Flight: t.Flight, Kind: KindSucceeded, Duration: took}
}

func (e *Executor) failed(t Task, f *Failure, began time.Time) ([]eventlog.Entry, Outcome) {
	took := e.Now().Sub(began)
	a := t.Flight.Action
	return []eventlog.Entry{e.outcome(t, events.TypeActionFailed, &events.ActionFailed{
		Type: a.Type, ID: a.ID, Action: t.Flight.ID, DurationMS: took.Milliseconds(), Reason: f.Reason, Detail: f.Detail,
	})}, Outcome{Flight: t.Flight, Kind: KindFailed, Reason: f.Reason, Detail: f.Detail, Duration: took}
}

func (e *Executor) refused(t Task, reason fleet.Reason, why string, began time.Time) ([]eventlog.Entry, Outcome) {
	a := t.Flight.Action
	return []eventlog.Entry{e.outcome(t, events.TypeActionRefused, &events.ActionRefused{
		Type: a.Type, ID: a.ID, Action: t.Flight.ID, Reason: reason, Detail: why, Basis: t.Basis,
	})}, Outcome{Flight: t.Flight, Kind: KindRefused, Reason: reason, Detail: why, Duration: e.Now().Sub(began)}
}

// outcome is fenced by whoever appends it: one for each action, ever.
func (e *Executor) outcome(t Task, kind events.Type, data events.Payload) eventlog.Entry {
	return eventlog.Entry{Event: t.Fact(e.Now(), kind, data)}
}

// lastOutcome is the last sequence on the subject of the action's outcome.
func (e *Executor) lastOutcome(ctx context.Context, h *held) (uint64, error) {
	return e.Log.LastOn(ctx, e.Log.Subjects().Outcome(h.request.Action))
}

// alreadySettled tells an action that is over from one that the ledger never
// took, such as a second message with the same action id.
func (e *Executor) alreadySettled(ctx context.Context, h *held) (Outcome, error) {
	flight := projection.Flight{
		Action: fleet.Action{Type: h.request.Type, ID: h.request.ID}, ID: h.request.Action, Sequence: h.seq,
	}
	last, err := e.lastOutcome(ctx, h)
	if err != nil || last > 0 {
		return Outcome{Flight: flight, Kind: KindKnown}, err
	}
	return Outcome{Flight: flight, Kind: KindParked, Reason: ReasonNotCounted, Detail: "the ledger does not count the action"}, nil
}

// park ends a delivery that nobody can carry out.
func (e *Executor) park(ctx context.Context, h *held, why string) {
	e.finish(ctx, h, Outcome{Flight: projection.Flight{Sequence: h.seq}, Kind: KindParked, Reason: ReasonMisfit, Detail: why})
}

// ackTimeout bounds the acknowledgement of an action that has its outcome.
const ackTimeout = 2 * time.Second

// finish tells of the end of a delivery and acknowledges it. When the
// acknowledgement is lost, the next delivery finds the outcome.
func (e *Executor) finish(ctx context.Context, h *held, out Outcome) {
	h.settled.Store(true)
	e.tell(out)
	// The outcome stands: also an executor that was told to stop says so, and
	// spares the next one a delivery that it would only have to wave through.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	if err := h.delivery.Load().Ack(ctx); err != nil {
		e.Logger.Warn().Err(err).Uint64(field.Seq, h.seq).Msg("could not acknowledge action")
	}
	e.Observe(out)
}

// postpone gives back a delivery whose end is open: the log may or may not hold it.
func (e *Executor) postpone(h *held, cause error) {
	h.settled.Store(true)
	out := Outcome{Flight: projection.Flight{ID: h.request.Action, Sequence: h.seq}, Kind: KindGivenBack, Detail: cause.Error()}
	out.Flight.Action = fleet.Action{Type: h.request.Type, ID: h.request.ID}
	e.tell(out)
	if err := h.delivery.Load().Retry(retryDelay); err != nil {
		e.Logger.Debug().Err(err).Uint64(field.Seq, h.seq).Msg("could not give action back")
	}
	e.Observe(out)
}

func (e *Executor) tell(out Outcome) {
	line := e.Logger.Info()
	switch out.Kind {
	case KindParked:
		if line = e.Logger.Warn(); out.Reason == ReasonMisfit {
			line = e.Logger.Error()
		}
	case KindFailed, KindGivenBack:
		line = e.Logger.Warn()
	case KindKnown:
		line = e.Logger.Debug()
	}
	if out.Reason != "" {
		line.Str(field.Reason, string(out.Reason))
	}
	if out.Detail != "" {
		line.Str("detail", out.Detail)
	}
	line.Str(field.Action, string(out.Flight.ID)).Str(field.ActionType, string(out.Flight.Action.Type)).
		Str(field.Node, string(out.Flight.Action.ID)).Uint64(field.Seq, out.Flight.Sequence).
		Str("outcome", string(out.Kind)).Dur(field.Duration, out.Duration).Msg("action settled")
}
