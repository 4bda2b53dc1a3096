package refusals

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/buslog"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func TestMain(m *testing.M) { leak.Main(m) }

// record runs a recorder, with a view of its own, until ctx ends.
func record(ctx context.Context, t *testing.T, log eventlog.Log, to Log, source string, shared bool) *Recorder {
	t.Helper()
	v := view.New(log)
	r, err := New(Config{Log: to, View: v, Source: source, Shared: shared})
	if err != nil {
		t.Fatal(err)
	}
	v.OnRecord(func(rec eventlog.Record, _ projection.Change) { r.OnRecord(rec) })
	go func() { _ = v.Run(ctx) }()
	go r.Run(ctx)
	return r
}

func told(t *testing.T, log eventlog.Log) (all []events.MessageRefused, at []time.Time) {
	t.Helper()
	records, err := log.Read(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		all, at = append(all, *r.Event.Data.(*events.MessageRefused)), append(at, r.Time)
	}
	return all, at
}

var early = &fleet.Refusal{Reason: "renewal_too_early", Detail: "tomorrow"}

// Who shares what is refused tells it once; who does not tells of their own.
func TestRefusalsAreToldOnceOrByEach(t *testing.T) {
	for does, c := range map[string]struct {
		shared bool
		want   uint64
	}{
		"planners read the same messages":         {true, 5},
		"executors are handed different requests": {false, 10},
	} {
		t.Run(does, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				log := eventlog.NewMemory(events.DefaultSubjects(), time.Now)
				one, two := record(ctx, t, log, log, "fleetfold/test", c.shared), record(ctx, t, log, log, "fleetfold/test", c.shared)
				for range 5 {
					one.Add("request", "a", early)
					two.Add("request", "a", early)
				}
				time.Sleep(3 * sameKind)
				var sum uint64
				all, at := told(t, log)
				for i, d := range all {
					sum += d.Count
					if i > 0 && at[i].Sub(at[i-1]) < sameKind {
						t.Errorf("the same kind after %s", at[i].Sub(at[i-1]))
					}
				}
				if sum != c.want {
					t.Errorf("told of %d refusals, want %d: %+v", sum, c.want, all)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

// One that is refused a lot keeps nobody else from the log, and all together leave
// moments in which nothing is appended.
func TestWhoHasMuchToTellLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log := eventlog.NewMemory(events.DefaultSubjects(), time.Now)
		planner := record(ctx, t, log, log, events.SourcePlanner, true)
		executor := record(ctx, t, log, log, events.SourceExecutor, false)
		for i := range maxKinds {
			planner.Add("presence", fleet.NodeID(rune('a'+i%26))+fleet.NodeID(rune('a'+i/26)), early)
		}
		time.Sleep(10 * time.Second)
		executor.Add("request", "z", early)
		began := time.Now()
		time.Sleep(10 * time.Second)
		all, at := told(t, log)
		heard := false
		for i, d := range all {
			heard = heard || d.Channel == "request" && at[i].Sub(began) <= 2*pace
			if i > 0 && at[i].Sub(at[i-1]) < otherPace {
				t.Errorf("%s between two facts", at[i].Sub(at[i-1]))
			}
		}
		if !heard {
			t.Errorf("the executor's was not told within %s", 2*pace)
		}
		cancel()
		synctest.Wait()
	})
}

// deaf is a log that takes nothing until it is mended.
type deaf struct {
	eventlog.Log
	mended atomic.Bool
	tries  atomic.Int64
}

func (d *deaf) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	if d.tries.Add(1); !d.mended.Load() {
		return 0, errors.New("not connected to the server")
	}
	return d.Log.Append(ctx, entries...)
}

func TestWhatCouldNotBeToldIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log := eventlog.NewMemory(events.DefaultSubjects(), time.Now)
		to := &deaf{Log: log}
		r := record(ctx, t, log, to, events.SourceExecutor, false)
		r.Add("request", "a", early)
		r.Add("request", "a", errors.New("no reason"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if tries := to.tries.Load(); tries < 30 || tries > 62 {
			t.Errorf("tried %d times in a minute", tries)
		}
		to.mended.Store(true)
		time.Sleep(5 * time.Second)
		all, _ := told(t, log)
		if len(all) != 2 || all[0].Count != 1 || all[1].Count != 1 || all[0].Reason != early.Reason || all[1].Reason != eventlog.ReasonUnreadable {
			t.Errorf("told %+v", all)
		}
		cancel()
		synctest.Wait()
	})
}

// A process that ends over a file says so first, and does not wait for long where
// that was said a moment ago.
func TestWhatAProcessEndsOverIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log := eventlog.NewMemory(events.DefaultSubjects(), time.Now)
		fault := fmt.Errorf("open issuer: %w", &identity.FileError{Path: "ca/ca.key", Reason: identity.FileDamaged, Err: errors.New("load ca/ca.key: rubbish")})
		for range 2 { // of two processes
			r := record(ctx, t, log, log, events.SourceExecutor, false)
			began := time.Now()
			if err := r.OfFile(ctx, fault); !errors.Is(err, fault) || time.Since(began) > flushTime {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
			if all, _ := told(t, log); len(all) != 1 || all[0] != (events.MessageRefused{Channel: "file", Reason: "file_damaged", Detail: "open issuer: load ca/ca.key: rubbish", Count: 1}) {
				t.Errorf("told %+v", all)
			}
			if err := r.OfFile(ctx, early); !errors.Is(err, early) {
				t.Error(err)
			}
		}
		if all, _ := told(t, log); len(all) != 1 {
			t.Errorf("told %+v", all)
		}
		cancel()
		synctest.Wait()
	})
}

// However much the server refuses, and to how many, few facts tell of it, and all
// of it is counted.
func TestWhatTheServerRefusesIsToldInSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log := eventlog.NewMemory(events.DefaultSubjects(), time.Now)
		r := record(ctx, t, log, log, events.SourcePlanner, false)
		var tally buslog.Tally
		var counted uint64
		go r.HearBus(ctx, &tally, func(d buslog.Refused) { counted += d.Count })
		const number = 10_000
		began := time.Now()
		for range number {
			tally.Add(buslog.Refusal{Reason: buslog.PermissionPublish, User: "spiffe://fleet.example/a", Detail: "may not"})
		}
		time.Sleep(3 * sameKind)
		synctest.Wait()
		all, at := told(t, log)
		sum := uint64(0)
		for _, d := range all {
			if sum += d.Count; d.Channel != "bus" || d.Node != "a" || d.Reason != buslog.PermissionPublish || d.Detail != "may not" {
				t.Errorf("told %+v", d)
			}
		}
		if len(all) > 3 || sum != number || counted != number || at[0].Sub(began) > time.Second {
			t.Errorf("%d facts of %d refusals, %d counted, the first after %s", len(all), sum, counted, at[0].Sub(began))
		}
		cancel()
		synctest.Wait()
	})
}
