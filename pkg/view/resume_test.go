package view_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// taken is a snapshot of what a view has folded.
func taken(t *testing.T, v *view.View) view.Source {
	t.Helper()
	img, mark := v.Still()
	if mark != v.Mark() || mark.Sequence != img.Sequence {
		t.Fatalf("an image up to %d with the mark %+v", img.Sequence, mark)
	}
	var file bytes.Buffer
	if _, err := snapshot.Encode(&file, img, mark); err != nil {
		t.Fatal(err)
	}
	return func(context.Context) (*snapshot.Snapshot, error) { return snapshot.Decode(&file) }
}

func caughtUp(t *testing.T, v *view.View) (stop func() error) {
	t.Helper()
	stop = run(v)
	if err := v.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return stop
}

func hash(t *testing.T, v *view.View) (h snapshot.Hash) {
	t.Helper()
	v.Read(func(s *projection.State) {
		var err error
		if h, err = snapshot.HashOf(s); err != nil {
			t.Error(err)
		}
	})
	return h
}

func TestAResumedViewIsAsOneThatFoldedEverything(t *testing.T) {
	for tail := range 3 {
		log := newLog()
		add(t, log, "n1", "n2")
		if _, err := log.AppendRaw(t.Context(), events.Message{Subject: log.Subjects().Node("n9")}); err != nil {
			t.Fatal(err)
		}
		first := view.New(log)
		stop := caughtUp(t, first)
		source := taken(t, first)
		for n := range tail {
			add(t, log, fleet.NodeID(fmt.Sprint("m", n)))
		}
		if err := first.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}

		v := view.Resume(log, source)
		var seen []string
		v.OnStart(func(s *projection.State) { seen = append(seen, fmt.Sprint("start ", s.Sequence())) })
		v.OnRecord(func(r eventlog.Record, _ projection.Change) { seen = append(seen, fmt.Sprint(r.Sequence)) })
		stop = caughtUp(t, v)
		if !v.CaughtUp() || v.Began() != 3 || v.Mark() != first.Mark() || hash(t, v) != hash(t, first) {
			t.Errorf("tail of %d: caught up %v, began at %d, ends with %+v", tail, v.CaughtUp(), v.Began(), v.Mark())
		}
		if want := fmt.Sprint([]string{"start 3", "4", "5"}[:1+tail]); fmt.Sprint(seen) != want {
			t.Errorf("hooks saw %v, want %v", seen, want)
		}
		// It goes on as any other.
		add(t, log, "later")
		if err := v.Wait(t.Context(), present("later")); err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutASnapshotTheLogIsFoldedWhole(t *testing.T) {
	log := newLog()
	add(t, log, "n1", "n2")
	v := view.Resume(log, func(context.Context) (*snapshot.Snapshot, error) { return nil, nil })
	started := -1
	v.OnStart(func(s *projection.State) { started = int(s.Sequence()) })
	stop := caughtUp(t, v)
	if v.Began() != 0 || started != 0 || sequence(v) != 2 {
		t.Errorf("began at %d, hook saw %d, folded to %d", v.Began(), started, sequence(v))
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestASourceThatFailsEndsTheView(t *testing.T) {
	broken := errors.New("broken")
	v := view.Resume(newLog(), func(context.Context) (*snapshot.Snapshot, error) { return nil, broken })
	if err := v.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("run: %v", err)
	}
	if err := v.CatchUp(t.Context()); !errors.Is(err, broken) {
		t.Errorf("catch up: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v = view.Resume(newLog(), func(ctx context.Context) (*snapshot.Snapshot, error) { return nil, ctx.Err() })
	if err := v.Run(ctx); err != nil || !errors.Is(v.Err(), view.ErrStopped) {
		t.Errorf("stopped while it looked for a snapshot: %v, %v", err, v.Err())
	}
}

// A snapshot of more than the log holds is for the source to refuse. Should one
// get through, the view says so and folds nothing.
func TestAViewDoesNotGoOnBehindTheEndOfTheLog(t *testing.T) {
	long := newLog()
	add(t, long, "n1", "n2")
	first := view.New(long)
	stop := caughtUp(t, first)
	if err := stop(); err != nil {
		t.Error(err)
	}
	v := view.Resume(newLog(), taken(t, first))
	if err := v.Run(t.Context()); !errors.Is(err, eventlog.ErrGap) {
		t.Errorf("got %v", err)
	}
}
