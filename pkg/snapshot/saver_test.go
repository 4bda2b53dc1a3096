package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// saving is a saver at work on a view of a log.
type saving struct {
	view    *view.View
	saver   *snapshot.Saver
	metrics *snapshot.Metrics
	said    *clitest.Log
	stop    func() // what the service does at its end, without Finish
}

func save(t *testing.T, log eventlog.Log, store snapshot.Store, every uint64) *saving {
	t.Helper()
	s := &saving{metrics: snapshot.NewMetrics(), said: new(clitest.Log)}
	s.view = view.Resume(log, func(ctx context.Context) (*snapshot.Snapshot, error) {
		found, _, err := snapshot.Newest(ctx, log, store, func(snapshot.Skipped) {})
		return found, err
	})
	s.saver = &snapshot.Saver{Fold: s.view, Store: store, Every: every, Metrics: s.metrics, Logger: zerolog.New(s.said)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	saved, ran := make(chan struct{}), make(chan error, 1)
	go func() { ran <- s.view.Run(ctx) }()
	go func() { s.saver.Run(ctx); close(saved) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-saved
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

func sequences(t *testing.T, store snapshot.Store) (list []uint64) {
	t.Helper()
	stored, err := store.Snapshots(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		list = append(list, s.Sequence)
	}
	return list
}

func TestASaverSavesEachSoManyRecordsAndKeepsThree(t *testing.T) {
	bus := newBus(t)
	log := bus.Log()
	add(t, log, 5, "s0")
	s := save(t, log, bus, 10)
	for _, session := range []string{"s1", "s2", "s3", "s4", "s5"} {
		add(t, log, 10, session)
		line := s.said.Wait(patience(t), t, "snapshot saved")
		if line["seq"].(float64) < 10 || line["bytes"].(float64) <= 0 || line["snapshot"] == "" {
			t.Errorf("said %v", line)
		}
	}
	s.stop()
	list := sequences(t, bus)
	if len(list) != snapshot.Kept || list[0] < list[1]+10 || list[1] < list[2]+10 {
		t.Errorf("kept %v", list)
	}
	if verdicts, err := snapshot.Verify(patience(t), log, bus); err != nil || verdicts[0].Reason != "" || verdicts[2].Reason != "" {
		t.Errorf("verdicts %+v, %v", verdicts, err)
	}

	// The next start goes on from there and saves nothing that is there.
	again := save(t, log, bus, 10)
	if err := again.view.CatchUp(patience(t)); err != nil {
		t.Fatal(err)
	}
	if again.view.Began() != list[0] {
		t.Errorf("began at %d, want %d", again.view.Began(), list[0])
	}
	again.stop()
	again.saver.Every = 1000
	again.saver.Finish(patience(t))
	if now := sequences(t, bus); now[0] != list[0] {
		t.Errorf("saved again: %v, then %v", list, now)
	}
}

func TestASaverThatIsTurnedOffSavesNothing(t *testing.T) {
	bus := newBus(t)
	add(t, bus.Log(), 20, "s1")
	s := save(t, bus.Log(), bus, 0)
	if err := s.view.CatchUp(patience(t)); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.saver.Finish(patience(t))
	if list := sequences(t, bus); len(list) != 0 {
		t.Errorf("saved %v", list)
	}
}

func TestTheEndSavesWhatIsWorthIt(t *testing.T) {
	bus := newBus(t)
	log := bus.Log()
	s := save(t, log, bus, 1_000_000)
	add(t, log, 999, "s1")
	if err := s.view.CatchUp(patience(t)); err != nil {
		t.Fatal(err)
	}
	s.saver.Finish(patience(t))
	if list := sequences(t, bus); len(list) != 0 {
		t.Errorf("saved %v although too little is new", list)
	}
	add(t, log, 1, "s2")
	if err := s.view.CatchUp(patience(t)); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.saver.Finish(patience(t))
	s.saver.Finish(patience(t)) // nothing is new
	if list := sequences(t, bus); len(list) != 1 || list[0] != 1000 {
		t.Errorf("saved %v", list)
	}
}

// failing is a store that takes nothing at first.
type failing struct {
	left  int
	takes time.Duration
	tried []time.Time
	file  bytes.Buffer
}

func (f *failing) Snapshots(context.Context) ([]eventlog.StoredSnapshot, error) { return nil, nil }

func (f *failing) OpenSnapshot(context.Context, string) (io.ReadCloser, error) {
	return nil, eventlog.ErrNoSnapshot
}

func (f *failing) PutSnapshot(_ context.Context, _ uint64, r io.Reader) (string, error) {
	f.tried = append(f.tried, time.Now())
	if f.takes > 0 {
		<-time.After(f.takes)
	}
	if f.left--; f.left >= 0 {
		return "", errors.New("no space left")
	}
	_, err := f.file.ReadFrom(r)
	return "name", err
}

func (f *failing) DeleteSnapshots(context.Context, int) error { return errors.New("no permission") }

// A failure disturbs nobody: it is said, and tried again later and later.
func TestASaverTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(events.DefaultSubjects(), nil)
		store := &failing{left: 3}
		s := save(t, log, store, 10)
		add(t, log, 10, "s1")
		for range 3 {
			if line := s.said.Wait(t.Context(), t, "cannot save snapshot"); !strings.Contains(line["error"].(string), "no space left") {
				t.Errorf("said %v", line)
			}
		}
		s.said.Wait(t.Context(), t, "snapshot saved")
		s.said.Wait(t.Context(), t, "cannot delete old snapshots")
		s.stop()
		for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second} {
			if got := store.tried[i+1].Sub(store.tried[i]); got < want || got > want+time.Second {
				t.Errorf("try %d came after %s, want %s", i+2, got, want)
			}
		}
		if back, err := snapshot.Decode(&store.file); err != nil || back.Mark.Sequence != 10 {
			t.Errorf("stored %+v, %v", back, err)
		}
		want := `
			# HELP fleetfold_snapshot_failures_total Snapshots that could not be saved, and old ones that could not be deleted.
			# TYPE fleetfold_snapshot_failures_total counter
			fleetfold_snapshot_failures_total 4
			# HELP fleetfold_snapshot_sequence Sequence of the log that the last snapshot of this process ends with; 0 for none.
			# TYPE fleetfold_snapshot_sequence gauge
			fleetfold_snapshot_sequence 10
			`
		if err := testutil.CollectAndCompare(s.metrics, strings.NewReader(want), "fleetfold_snapshot_failures_total", "fleetfold_snapshot_sequence"); err != nil {
			t.Error(err)
		}
	})
}

// Where each save takes long, the fold has most of the time to itself.
func TestASaverLeavesTimeBetweenLongSaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(events.DefaultSubjects(), nil)
		store := &failing{takes: time.Minute}
		s := save(t, log, store, 10)
		add(t, log, 10, "s1")
		s.said.Wait(t.Context(), t, "snapshot saved")
		add(t, log, 10, "s2")
		s.said.Wait(t.Context(), t, "snapshot saved")
		s.stop()
		if got := store.tried[1].Sub(store.tried[0]); got != 11*time.Minute {
			t.Errorf("the next save began after %s", got)
		}
	})
}
