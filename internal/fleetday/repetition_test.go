package fleetday

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// window is how long a server remembers the ids of messages, if it is told any.
const window = 2 * time.Minute

// Whoever sends again what is on the log already, because it did not hear that
// it was stored, changes nothing: not within the time that servers remember ids,
// not behind it. What is fenced is not stored again, and what is stored again
// counts for nothing.
func TestWhatIsSentAgainChangesNothing(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled("n1", "n2")
		story := r.since(0)
		for _, wait := range []time.Duration{0, window + time.Second} {
			r.pass(wait)
			before, ran := r.fold(), len(r.runs.all)
			again := r.resend(story)
			r.pass(time.Minute)
			if after := r.fold(); after != before {
				r.Errorf("after %s: the fold was\n%s\nand is\n%s", wait, before, after)
			}
			if now := len(r.runs.all); now != ran {
				r.Errorf("after %s: %d handlers ran for actions that were over", wait, now-ran)
			}
			r.Logf("after %s: %d of %d records were stored again", wait, again, len(story))
		}
	})
}

// fold is all that is believed of the fleet, but for where the log ends.
func (r *rig) fold() string {
	r.Helper()
	inv, report := inventory.Parse([]byte(r.desired.yaml()))
	if err := report.Err(); err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	if err := r.witness.view.CatchUp(ctx); err != nil {
		r.Fatal(err)
	}
	var now status.Status
	var nodes []status.Node
	r.witness.view.Read(func(s *projection.State) {
		now, nodes = status.Of(s, inv, r.began), status.Nodes(s, inv)
	})
	now.Sequence = 0
	text, err := json.MarshalIndent(map[string]any{"status": now, "nodes": nodes}, "", " ")
	if err != nil {
		r.Fatal(err)
	}
	return string(text)
}

// resend sends each fact of a node, each plan and each outcome as its writer
// did, under its fence; and then, as if no writer had one, the actions and
// outcomes without. It says how many were stored.
func (r *rig) resend(story []eventlog.Record) (stored int) {
	r.Helper()
	last := make(map[string]uint64)
	for _, record := range story {
		e := record.Event
		before := last[record.Message.Subject]
		last[record.Message.Subject] = record.Sequence
		if !e.Type.IsAction() {
			if _, err := r.append(e, eventlog.LastOnSubject(before)); !errors.Is(err, eventlog.ErrConflict) {
				r.Errorf("sequence %d, %s, sent again under its fence: %v", record.Sequence, e.Type, err)
			}
		}
		switch e.Data.(type) {
		case *events.ActionRequested, *events.ActionSucceeded, *events.InventoryApplied, *events.NodeAppeared, *events.CredentialProved:
			if _, err := r.append(e, eventlog.Fence{}); err != nil {
				r.Errorf("sequence %d, %s, sent again: %v", record.Sequence, e.Type, err)
			}
			stored++
		}
	}
	return stored
}

func (r *rig) append(e *events.Event, fence eventlog.Fence) (uint64, error) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	return r.witness.bus.Log().Append(ctx, eventlog.Entry{Event: e, Fence: fence})
}
