package planner

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Word is what a person says with a decision.
type Word struct {
	// Actor as they name themselves, and why; nobody checks either.
	Actor, Note string
	At          time.Time
}

// Pause records that nothing is to be done to the target; false if it is paused
// already.
func Pause(ctx context.Context, log eventlog.Log, v *view.View, target fleet.Target, w Word) (bool, error) {
	paused, basis, err := pausedNow(ctx, v, target)
	if err != nil || paused {
		return false, err
	}
	data := &events.ControlPaused{Target: target, Actor: w.Actor, Note: w.Note}
	return true, say(ctx, log, events.TypeControlPaused, target.ID, data, basis, w)
}

// Resume ends the pause of exactly that target; false if it is not paused.
func Resume(ctx context.Context, log eventlog.Log, v *view.View, target fleet.Target, w Word) (bool, error) {
	paused, basis, err := pausedNow(ctx, v, target)
	if err != nil || !paused {
		return false, err
	}
	data := &events.ControlResumed{Target: target, Actor: w.Actor, Note: w.Note}
	return true, say(ctx, log, events.TypeControlResumed, target.ID, data, basis, w)
}

// Approve records that a person approved the decommissions of that id, which
// were those of the plan at the sequence basis. The caller has checked that.
func Approve(ctx context.Context, log eventlog.Log, id fleet.ApprovalID, basis uint64, w Word) error {
	data := &events.PlanApproved{Approval: id, Basis: basis, Actor: w.Actor, Note: w.Note}
	return say(ctx, log, events.TypePlanApproved, "", data, basis, w)
}

// Rotate records that every credential of the target is to be renewed that was
// issued before this, and returns the sequence that is meant by it. rate is how
// many nodes are asked a second, above 0 and at most events.MaxRotationRate.
func Rotate(ctx context.Context, log eventlog.Log, target fleet.Target, rate float64, w Word) (uint64, error) {
	data := &events.RotationRequested{Target: target, RatePerSecond: rate, Actor: w.Actor, Note: w.Note}
	seq, err := log.Append(ctx, eventlog.Entry{Event: &events.Event{
		ID:     events.NewID(string(events.TypeRotationRequested), fmt.Sprintf("%+v", data), strconv.FormatInt(w.At.UnixNano(), 10)),
		Source: events.SourceOperator, Type: events.TypeRotationRequested, Node: target.ID, Time: w.At, Data: data,
	}})
	if err != nil {
		return 0, fmt.Errorf("append %s: %w", events.TypeRotationRequested, err)
	}
	return seq, nil
}

func pausedNow(ctx context.Context, v *view.View, target fleet.Target) (paused bool, basis uint64, err error) {
	if err := v.CatchUp(ctx); err != nil {
		return false, 0, fmt.Errorf("catch up before pausing or resuming: %w", err)
	}
	v.Read(func(st *projection.State) {
		_, paused = st.Paused(target)
		basis = st.Sequence()
	})
	return paused, basis, nil
}

// say appends without a fence: whatever came meanwhile, the person means it.
func say(ctx context.Context, log eventlog.Log, t events.Type, node fleet.NodeID, data events.Payload, basis uint64, w Word) error {
	_, err := log.Append(ctx, eventlog.Entry{Event: &events.Event{
		ID:     events.NewID(string(t), fmt.Sprintf("%+v", data), strconv.FormatUint(basis, 10)),
		Source: events.SourceOperator, Type: t, Node: node, Time: w.At, Data: data,
	}})
	if err != nil {
		return fmt.Errorf("append %s: %w", t, err)
	}
	return nil
}
