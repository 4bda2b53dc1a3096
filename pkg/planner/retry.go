package planner

import (
	"context"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// NewestAttempt is the newest attempt at a need at the node's present epoch and
// the inventory's present generation; false where there was none.
func NewestAttempt(st *projection.State, need fleet.Action) (engine.Step, bool) {
	epoch, generation := st.Ledger().Epoch(need.ID), st.Inventory().Generation
	a := st.Ledger().AttemptsAt(need, epoch, generation)
	if a.Published == 0 {
		return engine.Step{}, false
	}
	return engine.Step{
		Action: need, ActionID: engine.ActionIDFor(need, epoch, generation, a.Published),
		Attempt: a.Published, Epoch: epoch, Generation: generation,
	}, true
}

// Retry records that a person does not want to wait for the attempt that follows
// on this one. basis is the sequence at which it was the newest of its need: it
// counts only as long as it is.
func Retry(ctx context.Context, log eventlog.Log, attempt engine.Step, basis uint64, w Word) error {
	data := &events.RetryRequested{
		Type: attempt.Type, ID: attempt.ID, Action: attempt.ActionID, Attempt: attempt.Attempt,
		Epoch: attempt.Epoch, Generation: attempt.Generation, Actor: w.Actor, Note: w.Note,
	}
	return say(ctx, log, events.TypeRetryRequested, attempt.ID, data, basis, w)
}
