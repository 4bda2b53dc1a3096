package eventlog

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// longLogs are logs of n records, of each kind that is read in its own way.
func longLogs(t *testing.T, n int) map[string]Log {
	s := testServer(t, t.TempDir(), 0)
	writer, reader := testBus(t, s, Options{}), testBus(t, s, Options{NoConsumers: true})
	memory := NewMemory(events.DefaultSubjects(), nil)
	many(t, writer.Log(), 0, n)
	many(t, memory, 0, n)
	return map[string]Log{"with a cursor": writer.Log(), "without consumers": reader.Log(), "in memory": memory}
}

// upTo reads until the sequence last, 0 for all that come, and returns the last
// sequence and the error that ended it.
func upTo(t *testing.T, records func(func(Record, error) bool), after, last uint64) (uint64, error) {
	t.Helper()
	for r, err := range records {
		if err != nil {
			return after, err
		}
		if after++; r.Sequence != after || r.Event == nil {
			t.Fatalf("record %d at %d: %v", r.Sequence, after, r.Err)
		}
		if after == last {
			return after, nil
		}
	}
	return after, nil
}

func TestAHistoryIsReadThroughToItsEnd(t *testing.T) {
	const n = throughPage + 700
	for name, log := range longLogs(t, n) {
		t.Run(name, func(t *testing.T) {
			ctx := patience(t)
			for _, c := range []struct{ after, last uint64 }{
				{0, n}, {3, n - 5}, {0, 1}, {n - 1, n}, {7, 7}, {9, 3}, {0, throughPage}, {0, throughPage + 1},
			} {
				got, err := upTo(t, Through(ctx, log, c.after, c.last), c.after, 0)
				if err != nil || got != max(c.after, c.last) {
					t.Errorf("from %d to %d: ended at %d, %v", c.after, c.last, got, err)
				}
			}
			if got, err := upTo(t, Records(ctx, log, 10), 10, 0); err != nil || got != n {
				t.Errorf("all behind 10: ended at %d, %v", got, err)
			}
			for _, last := range []uint64{1, 500, n - 1} {
				if got, err := upTo(t, Through(ctx, log, 0, n), 0, last); err != nil || got != last {
					t.Errorf("left at %d: %d, %v", last, got, err)
				}
			}
		})
	}
}

func TestAHistoryThatIsCancelledEndsWithAPrefix(t *testing.T) {
	const n = throughPage + 700
	for name, log := range longLogs(t, n) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(patience(t))
			defer cancel()
			after := uint64(0)
			var ended error
			for r, err := range Through(ctx, log, 0, n) {
				if ended = err; err != nil {
					break
				}
				if after++; r.Sequence != after {
					t.Fatalf("sequence %d, want %d", r.Sequence, after)
				}
				if after == 100 {
					cancel()
				}
			}
			if after < 100 || after < n && !errors.Is(ended, context.Canceled) {
				t.Errorf("ended at %d with %v", after, ended)
			}
		})
	}
}

// What grows while it is read is read to its end as well.
func TestARecordThatIsAddedMeanwhileIsRead(t *testing.T) {
	log := NewMemory(events.DefaultSubjects(), nil)
	mustAppend(t, log, appeared(1))
	n := uint64(0)
	for r, err := range Records(patience(t), log, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n = r.Sequence; n < 5 {
			mustAppend(t, log, appeared(int(n)+1))
		}
	}
	if n != 5 {
		t.Errorf("ended at %d, want 5", n)
	}
}

func TestAGapEndsAHistory(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	const n, lost = throughPage + 200, 150
	many(t, b.Log(), 0, n)
	lose(t, b, lost)
	for name, log := range map[string]Log{"with a cursor": b.Log(), "by pages": struct{ Log }{b.Log()}} {
		if got, err := upTo(t, Through(patience(t), log, 0, n), 0, 0); !errors.Is(err, ErrGap) || got != lost-1 {
			t.Errorf("%s: ended at %d, %v", name, got, err)
		}
	}
	short := NewMemory(events.DefaultSubjects(), nil)
	mustAppend(t, short, appeared(1))
	if got, err := upTo(t, Through(patience(t), short, 0, 3), 0, 0); !errors.Is(err, ErrGap) || got != 1 {
		t.Errorf("a log that ends before: %d, %v", got, err)
	}
}

// mute is a cursor that nothing comes from.
type mute struct{ Cursor }

func (mute) Next(ctx context.Context) ([]Record, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestACursorThatStaysSilentEndsAHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := following(mute{})(t.Context(), 0, 10)
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}
