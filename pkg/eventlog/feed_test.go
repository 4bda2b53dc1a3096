package eventlog

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// many appends n events, batch after batch.
func many(t *testing.T, l Log, from, n int) {
	t.Helper()
	for n > 0 {
		entries := make([]Entry, min(n, MaxBatch))
		for i := range entries {
			entries[i] = appeared(from + i)
		}
		mustAppend(t, l, entries...)
		from, n = from+len(entries), n-len(entries)
	}
}

// A message that is no event stands between those that are, however many are
// handed on together.
func TestAMisfitAmongManyIsARecordInItsPlace(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	const before, after = feedSlice + 100, 2 * feedSlice
	many(t, b.Log(), 0, before)
	bad := events.Message{Subject: b.Subjects().Node("n1"), Header: map[string][]string{"ce-type": {"unheard.of"}, "Nats-Odd": {"x"}}, Data: []byte("{}")}
	if err := AppendRaw(patience(t), b, bad); err != nil {
		t.Fatal(err)
	}
	many(t, b.Log(), before, after)
	_, c := followed(t, b, stallAfter)
	for next := uint64(1); next <= before+1+after; {
		records, err := c.Next(patience(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(records) > feedSlice {
			t.Errorf("%d records at a time, at most %d were promised", len(records), feedSlice)
		}
		for _, r := range records {
			var refusal *events.Refusal
			misfit := r.Event == nil && errors.As(r.Err, &refusal)
			if r.Sequence != next || misfit != (next == before+1) {
				t.Fatalf("record %d at %d: event %v, error %v", r.Sequence, next, r.Event, r.Err)
			}
			if len(r.Message.Header["Nats-Odd"]) != 0 || len(r.Message.Header[nats.ExpectedStreamHdr]) != 0 {
				t.Fatalf("record %d has the headers %v", r.Sequence, r.Message.Header)
			}
			next++
		}
	}
}

// What came before a message that was lost on the way is returned, and what comes
// behind it is read again.
func TestALossAmongManyCostsNothingBeforeIt(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	l, c := followed(t, b, time.Hour)
	many(t, l, 0, 10)
	some := make([]*nats.Msg, 0, 10)
	for len(some) < 10 {
		some = append(some, <-c.feed.messages...)
	}
	first := c.feed
	records := c.take(patience(t), append(some[:6:6], some[7:]...))
	if len(records) != 6 || records[5].Sequence != 6 || c.feed != nil {
		t.Fatalf("%d records before the loss, consumer kept: %v", len(records), c.feed == first)
	}
	mustTake(t, c, 6, 4)
}

// A reader that nobody takes from holds a bounded number of messages, and ends
// when it is closed.
func TestAFeedThatNobodyReadsHoldsTheServerBack(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	const n = 4*feedBatch + feedBuffer*feedSlice
	many(t, b.Log(), 0, n)
	_, c := followed(t, b, time.Hour)
	ctx := patience(t)
	name := "" // of the one consumer
	s, err := b.js.Stream(ctx, b.logStream())
	if err != nil {
		t.Fatal(err)
	}
	for name = range s.ConsumerNames(ctx).Name() {
	}
	for {
		consumer, err := s.Consumer(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if i := consumer.CachedInfo(); len(c.feed.messages) == feedBuffer && i.NumWaiting == 0 { // all that was asked for has come
			if i.Delivered.Consumer >= n {
				t.Errorf("%d of %d messages were read ahead", i.Delivered.Consumer, n)
			}
			break
		}
		if err := wait(ctx, readPause); err != nil {
			t.Fatal(err)
		}
	}
	mustTake(t, c, 0, n)
}

func TestCancelAmongManyLosesNothing(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	const n = 3 * feedSlice
	many(t, b.Log(), 0, n)
	_, c := followed(t, b, time.Hour)
	var after uint64
	for after < n {
		ctx, cancel := context.WithCancel(patience(t))
		records, err := c.Next(ctx)
		cancel()
		if _, again := c.Next(ctx); !errors.Is(again, context.Canceled) {
			t.Fatalf("next with an ended context: %v", again)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if after++; r.Sequence != after {
				t.Fatalf("sequence %d, want %d", r.Sequence, after)
			}
		}
	}
}

func TestPlacesAreReadAsTheClientLibraryReadsThem(t *testing.T) {
	for reply, quick := range map[string]bool{
		"$JS.ACK.FLEET.c.1.42.7.1767323045000000123.9":                        true,
		"$JS.ACK.FLEET.c.1.18446744073709551615.7.1.0":                        true,
		"$JS.ACK.hub.ACCOUNT.FLEET.c.1.42.7.1767323045000000123.9.0123456789": false,
		"$JS.ACK._.ACCOUNT.FLEET.c.1.42.7.1767323045000000123.9":              false,
	} {
		m := &nats.Msg{Reply: reply, Sub: &nats.Subscription{}}
		seq, at, err := placeOf(m)
		want, wrong := metadata(m)
		if err != nil || wrong != nil || seq != want.Sequence.Stream || !at.Equal(want.Timestamp) {
			t.Errorf("%s: %d at %v, %v; want %+v, %v", reply, seq, at, err, want, wrong)
		}
		if _, _, ok := quickPlace(reply); ok != quick {
			t.Errorf("%s: read the quick way: %v", reply, ok)
		}
	}
	for _, reply := range []string{"", "_INBOX.x", "$JS.ACK", "$JS.ACK.FLEET.c.1.42.7.1", "$JS.ACK.FLEET.c.1.x.7.1.9", "$JS.ACK.FLEET.c.1.42.7.x.9"} {
		if _, _, ok := quickPlace(reply); ok {
			t.Errorf("%q was read the quick way", reply)
		}
	}
}

// Where messages wait for their reader, less is asked for at a time, and more
// where the reader waits for them.
func TestRequestsGrowAndShrinkWithWhoWaits(t *testing.T) {
	p := &pull{messages: make(chan *nats.Msg, feedBatch), batch: feedLeast, least: feedLeast, most: feedBatch, brought: true}
	sizes := func(open, here, times int) (all []int) {
		for len(p.messages) > 0 {
			<-p.messages
		}
		for range here {
			p.messages <- &nats.Msg{}
		}
		for range times {
			p.open = open
			p.adapt()
			if p.ahead != p.batch/2 {
				t.Errorf("asks with %d to come, of %d", p.ahead, p.batch)
			}
			all = append(all, p.batch)
		}
		return all
	}
	for _, c := range []struct {
		why               string
		open, here, times int
		want              []int
	}{
		{"all are on their way", 250, 0, 4, []int{1000, 2000, 4000, 4000}},
		{"most are here", 2000, 1900, 4, []int{2000, 1000, 500, 500}},
		{"none is open", 0, 0, 1, []int{1000}},
	} {
		if got := sizes(c.open, c.here, c.times); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
	if p.brought = false; p.batch != sizes(0, 0, 1)[0] {
		t.Error("a silence made requests grow")
	}
	if p.brought, p.most = true, 0; p.batch != sizes(0, 0, 1)[0] {
		t.Error("a pull of a fixed size changed it")
	}
}
