package view_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func TestMain(m *testing.M) { leak.Main(m) }

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newLog() *eventlog.Memory {
	return eventlog.NewMemory(events.DefaultSubjects(), func() time.Time { return start })
}

func appeared(id fleet.NodeID) eventlog.Entry {
	return eventlog.Entry{Event: &events.Event{
		ID: "appeared-" + string(id), Source: events.SourcePlanner, Type: events.TypeNodeAppeared, Node: id, Time: start,
		Data: &events.NodeAppeared{Epoch: 1, Session: "s1", KeyFingerprint: fingerprint},
	}}
}

const fingerprint = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func add(t *testing.T, log eventlog.Log, ids ...fleet.NodeID) {
	t.Helper()
	for _, id := range ids {
		if _, err := log.Append(t.Context(), appeared(id)); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs the view until stop is called, which returns what Run did.
func run(v *view.View) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func present(id fleet.NodeID) func(*projection.State) bool {
	return func(s *projection.State) bool { n, ok := s.Node(id); return ok && n.Present }
}

func sequence(v *view.View) (seq uint64) {
	v.Read(func(s *projection.State) { seq = s.Sequence() })
	return seq
}

func TestAViewFoldsWhatWasThereAndWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		add(t, log, "n1", "n2")
		v := view.New(log)
		if v.CaughtUp() || sequence(v) != 0 || !v.Confirmed().IsZero() {
			t.Error("a view knows something before it ran")
		}
		stop := run(v)
		synctest.Wait()
		if !v.CaughtUp() || sequence(v) != 2 || !v.Confirmed().Equal(start) {
			t.Errorf("caught up: %v, sequence %d, confirmed %v", v.CaughtUp(), sequence(v), v.Confirmed())
		}
		add(t, log, "n3")
		if err := v.CatchUp(t.Context()); err != nil || sequence(v) != 3 {
			t.Errorf("catch up: %v, at sequence %d", err, sequence(v))
		}
		if err := stop(); err != nil {
			t.Errorf("a view that is stopped ends with %v", err)
		}
		if !errors.Is(v.Err(), view.ErrStopped) || sequence(v) != 3 || !v.Confirmed().Equal(start) {
			t.Errorf("after the stop: %v, sequence %d, confirmed %v", v.Err(), sequence(v), v.Confirmed())
		}
	})
}

func TestWithAnEmptyLogAViewCatchesUpAndSaysSo(t *testing.T) {
	v := view.New(newLog())
	changed := v.Changed()
	stop := run(v)
	<-changed
	if !v.CaughtUp() || v.Err() != nil {
		t.Errorf("caught up: %v, error %v", v.CaughtUp(), v.Err())
	}
	if err := v.CatchUp(t.Context()); err != nil {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWaitIsWokenByTheFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		v := view.New(log)
		done := make(chan error, 1)
		looks := 0
		go func() { // begins before the view runs
			done <- v.Wait(t.Context(), func(s *projection.State) bool { looks++; return present("n3")(s) })
		}()
		stop := run(v)
		for _, id := range []fleet.NodeID{"n1", "n2"} {
			synctest.Wait()
			add(t, log, id)
			synctest.Wait()
			if len(done) != 0 {
				t.Fatalf("woken after %s", id)
			}
		}
		add(t, log, "n3")
		if err := <-done; err != nil {
			t.Error(err)
		}
		// At first, when the view began, and once for each of the three.
		if looks > 5 {
			t.Errorf("looked %d times", looks)
		}
		_ = stop()
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := view.New(newLog())
		stop := run(v)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := v.Wait(ctx, present("nobody"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := v.Wait(ctx, func(*projection.State) bool { return true }); err != nil {
			t.Errorf("what holds already needs no time: %v", err)
		}
		_ = stop()
	})
}

func TestNobodyWaitsForAViewThatHasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := view.New(newLog())
		stop := run(v)
		waiting := make(chan error, 1)
		go func() { waiting <- v.Wait(t.Context(), present("nobody")) }()
		synctest.Wait()
		changed := v.Changed()
		if err := stop(); err != nil {
			t.Error(err)
		}
		<-changed
		for name, err := range map[string]error{
			"who waited": <-waiting, "who comes later": v.Wait(t.Context(), present("nobody")), "who catches up": v.CatchUp(t.Context()),
		} {
			if !errors.Is(err, view.ErrStopped) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

func TestAViewRunsOnce(t *testing.T) {
	v := view.New(newLog())
	begun := v.Changed()
	stop := run(v)
	<-begun
	if err := v.Run(t.Context()); err == nil {
		t.Error("it ran twice")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestHooksSeeEachRecordBeforeAnyReaderDoes(t *testing.T) {
	log := newLog()
	v := view.New(log)
	var mu sync.Mutex
	var seen []uint64
	var nodes []fleet.NodeID
	v.OnRecord(func(r eventlog.Record, c projection.Change) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Sequence)
		nodes = append(nodes, c.Nodes...)
	})
	add(t, log, "n1")
	stop := run(v)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for sequence(v) < 3 {
				v.Read(func(s *projection.State) {
					mu.Lock()
					defer mu.Unlock()
					if len(seen) < int(s.Sequence()) {
						t.Errorf("sequence %d is visible, hooks saw %v", s.Sequence(), seen)
					}
				})
			}
		})
	}
	add(t, log, "n2", "n3")
	readers.Wait()
	_ = stop()
	if !slices.Equal(seen, []uint64{1, 2, 3}) || !slices.Equal(nodes, []fleet.NodeID{"n1", "n2", "n3"}) {
		t.Errorf("hooks saw %v, %v", seen, nodes)
	}
}

func TestAMessageThatDoesNotFitIsFoldedOver(t *testing.T) {
	log := newLog()
	add(t, log, "n1")
	if _, err := log.AppendRaw(t.Context(), events.Message{Subject: log.Subjects().Node("n1"), Data: []byte("?")}); err != nil {
		t.Fatal(err)
	}
	v := view.New(log)
	stop := run(v)
	if err := v.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.Read(func(s *projection.State) {
		if s.Unfit() != 1 || s.Sequence() != 2 || s.LastNode("n1") != 2 {
			t.Errorf("unfit %d, sequence %d, last on the node's subject %d", s.Unfit(), s.Sequence(), s.LastNode("n1"))
		}
	})
	_ = stop()
}

func TestManyMayReadWaitAndAppendAtOnce(t *testing.T) {
	log := newLog()
	v := view.New(log)
	stop := run(v)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if _, err := log.Append(t.Context(), appeared("n1")); err != nil {
					t.Error(err)
				}
				if err := v.CatchUp(t.Context()); err != nil {
					t.Error(err)
				}
				v.Read(func(s *projection.State) { _ = s.Observed().Nodes })
				v.Confirmed()
			}
		})
	}
	all.Wait()
	if sequence(v) != 400 {
		t.Errorf("sequence %d after 400 appends", sequence(v))
	}
	_ = stop()
}
