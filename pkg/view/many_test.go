package view_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// A misfit in the midst of many is stepped over: what is before and behind it is
// folded, once each and in order. A view that is stopped in their midst has folded
// a prefix of them.
func TestAMisfitAmongManyStopsNothing(t *testing.T) {
	const n, bad = 1500, 700
	log := newLog()
	for i := range n {
		if i == bad {
			if _, err := log.AppendRaw(t.Context(), events.Message{Subject: log.Subjects().Node("n9"), Data: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		add(t, log, fleet.NodeID(fmt.Sprint("n", i)))
	}
	v := view.New(log)
	var seen []uint64
	var misfits []uint64
	v.OnRecord(func(r eventlog.Record, _ projection.Change) {
		seen = append(seen, r.Sequence)
		if r.Err != nil {
			misfits = append(misfits, r.Sequence)
		}
	})
	stop := caughtUp(t, v)
	if err := stop(); err != nil {
		t.Error(err)
	}
	for i, seq := range seen {
		if seq != uint64(i+1) {
			t.Fatalf("record %d was seen at %d", seq, i+1)
		}
	}
	if len(seen) != n+1 || !slices.Equal(misfits, []uint64{bad + 1}) || sequence(v) != n+1 || !present(fleet.NodeID(fmt.Sprint("n", n-1)))(stateOf(v)) {
		t.Errorf("saw %d records, misfits %v, folded to %d", len(seen), misfits, sequence(v))
	}
}

// stateOf is the state of a view that has stopped.
func stateOf(v *view.View) (state *projection.State) {
	v.Read(func(s *projection.State) { state = s })
	return state
}

func TestAViewStoppedAmongManyHasFoldedAPrefix(t *testing.T) {
	log := newLog()
	for i := range 3000 {
		add(t, log, fleet.NodeID(fmt.Sprint("n", i)))
	}
	for _, at := range []uint64{1, 255, 256, 257, 1000, 2999} {
		v := view.New(log)
		ctx, cancel := context.WithCancel(t.Context())
		var seen uint64
		v.OnRecord(func(r eventlog.Record, _ projection.Change) {
			if seen++; r.Sequence != seen {
				t.Errorf("record %d was seen at %d", r.Sequence, seen)
			}
			if seen == at {
				cancel()
			}
		})
		if err := v.Run(ctx); err != nil || !errors.Is(v.Err(), view.ErrStopped) {
			t.Errorf("stopped at %d: %v, %v", at, err, v.Err())
		}
		if got := sequence(v); got != seen || got < at || v.Mark().Sequence != got {
			t.Errorf("stopped at %d: saw %d, folded to %d, mark %+v", at, seen, got, v.Mark())
		}
	}
}
