package eventlog

import "testing"

// A history longer than what one request asks for is read with one consumer:
// each more would cost questions, and what is on its way would be read again.
func TestALongHistoryIsReadWithOneConsumer(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	told := make(chan string, 100)
	b := testBus(t, s, Options{Logger: func(event string, err error) { told <- event }})
	const n = 2*feedBatch + MaxBatch
	for i := 0; i < n; i += MaxBatch {
		entries := make([]Entry, 0, MaxBatch)
		for k := range MaxBatch {
			entries = append(entries, appeared(i+k))
		}
		mustAppend(t, b.Log(), entries...)
	}
	_, c := followed(t, b, stallAfter)
	first := c.feed
	mustTake(t, c, 0, n)
	if c.feed != first {
		t.Error("another consumer was made")
	}
	select {
	case event := <-told:
		t.Errorf("told of %q", event)
	default:
	}
	mustAppend(t, b.Log(), appeared(n))
	mustTake(t, c, n, 1) // the requests that are open bring what is new
}

// Who asks for many at a time leaves half of them to the other at least, and the
// more when it stops.
func TestTwoExecutorsShareManyActions(t *testing.T) {
	const many = 64
	b := busOn(t)
	publishActions(t, b, many)
	first := takeActions(t, b, many, ackWait)
	one := take(t, first)
	second := takeActions(t, b, many, ackWait)
	defer second.Close()
	seen := map[uint64]bool{one.Record.Sequence: true}
	for len(seen) < many/2 {
		seen[take(t, second).Record.Sequence] = true
	}
	first.Close() // gives back what came and was not taken
	for len(seen) < many {
		seen[take(t, second).Record.Sequence] = true
	}
}
