package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/eventlog/logtest"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// grouped is a log that is appended to through a Group.
type grouped struct {
	*eventlog.Memory
	group *eventlog.Group
}

func (g grouped) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	return g.group.Append(ctx, entries...)
}

func TestAGroupKeepsTheContract(t *testing.T) {
	logtest.Run(t, func(*testing.T) eventlog.Log {
		log := eventlog.NewMemory(events.DefaultSubjects(), nil)
		return grouped{log, eventlog.NewGroup(log)}
	})
}

// held is a log that appends nothing until it is let go, and remembers how many
// entries came at once.
type held struct {
	*eventlog.Memory
	mu      sync.Mutex
	release chan struct{}
	sizes   []int
}

func (h *held) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	h.mu.Lock()
	h.sizes = append(h.sizes, len(entries))
	h.mu.Unlock()
	select {
	case <-h.release:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return h.Memory.Append(ctx, entries...)
}

// crowd lets calls wait behind a first one that the log holds up, and returns
// what became of each once the log lets go.
func crowd(t *testing.T, calls [][]eventlog.Entry, meanwhile func(cancel []context.CancelFunc)) (h *held, last []uint64, errs []error) {
	t.Helper()
	h = &held{Memory: eventlog.NewMemory(events.DefaultSubjects(), nil), release: make(chan struct{})}
	group := eventlog.NewGroup(h)
	last, errs = make([]uint64, len(calls)), make([]error, len(calls))
	var all sync.WaitGroup
	all.Go(func() { _, _ = group.Append(t.Context(), one("first", eventlog.Fence{})...) })
	synctest.Wait()
	cancels := make([]context.CancelFunc, len(calls))
	for i, call := range calls {
		ctx, cancel := context.WithCancel(t.Context())
		cancels[i] = cancel
		all.Go(func() { last[i], errs[i] = group.Append(ctx, call...) })
		synctest.Wait() // they wait in this order
	}
	if meanwhile != nil {
		meanwhile(cancels)
		synctest.Wait()
	}
	close(h.release)
	all.Wait()
	for _, cancel := range cancels {
		cancel()
	}
	return h, last, errs
}

func one(id fleet.NodeID, fence eventlog.Fence) []eventlog.Entry {
	return []eventlog.Entry{{Event: logtest.Appeared(id, "s"), Fence: fence}}
}

func many(n int) (calls [][]eventlog.Entry) {
	for i := range n {
		calls = append(calls, one(fleet.NodeID(fmt.Sprint("n", i)), eventlog.LastOnSubject(0)))
	}
	return calls
}

func TestThoseWhoWaitShareABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := many(20)
		calls[3] = append(one("pair-a", eventlog.Fence{}), one("pair-b", eventlog.Fence{})...)
		h, last, errs := crowd(t, calls, nil)
		if want := "[1 21]"; fmt.Sprint(h.sizes) != want {
			t.Errorf("entries came as %v, want %s", h.sizes, want)
		}
		for i, err := range errs {
			want := uint64(i + 2)
			if i >= 3 {
				want++ // the pair has two
			}
			if err != nil || last[i] != want {
				t.Errorf("call %d ended at %d with %v, want %d", i, last[i], err, want)
			}
		}
	})
}

func TestALostRaceIsThatOfOneOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := many(12)
		calls[5] = one("n5", eventlog.LastOnSubject(77))
		h, _, errs := crowd(t, calls, nil)
		for i, err := range errs {
			if lost := errors.Is(err, eventlog.ErrConflict); lost != (i == 5) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if end, err := h.Last(t.Context()); err != nil || end != 12 {
			t.Errorf("the log ends at %d, %v", end, err)
		}
	})
}

func TestWhatIsNoEventStopsOnlyItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := many(12)
		calls[2] = []eventlog.Entry{{Event: &events.Event{Type: "no.such.type"}}}
		_, _, errs := crowd(t, calls, nil)
		for i, err := range errs {
			if (err != nil) != (i == 2) {
				t.Errorf("call %d: %v", i, err)
			}
		}
	})
}

func TestAFenceOnTheWholeLogStandsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := many(20)
		calls[10] = one("n10", eventlog.LastInLog(11)) // behind the first and ten more
		h, _, errs := crowd(t, calls, nil)
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if want := "[1 10 1 9]"; fmt.Sprint(h.sizes) != want {
			t.Errorf("entries came as %v, want %s", h.sizes, want)
		}
	})
}

func TestWhoHasGoneAppendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, errs := crowd(t, many(12), func(cancel []context.CancelFunc) { cancel[4]() })
		for i, err := range errs {
			if errors.Is(err, context.Canceled) != (i == 4) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if end, err := h.Last(t.Context()); err != nil || end != 12 {
			t.Errorf("the log ends at %d, %v", end, err)
		}
	})
}

func TestABatchIsGivenUpWhenEverybodyHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{Memory: eventlog.NewMemory(events.DefaultSubjects(), nil), release: make(chan struct{})}
		group := eventlog.NewGroup(h)
		first, letFirstGo := context.WithCancel(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _, _ = group.Append(first, one("first", eventlog.Fence{})...) })
		synctest.Wait()
		for _, call := range many(12) {
			all.Go(func() { _, _ = group.Append(ctx, call...) })
		}
		synctest.Wait()
		letFirstGo()
		synctest.Wait() // the batch of twelve is under way
		cancel()
		all.Wait()
		synctest.Wait() // and nobody is left behind: the bubble would say so
		if want := "[1 12]"; fmt.Sprint(h.sizes) != want {
			t.Errorf("entries came as %v, want %s", h.sizes, want)
		}
	})
}
