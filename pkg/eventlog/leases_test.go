package eventlog

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/internal/bubble"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

const lease = 15 * time.Second

// inFakeTime runs test on an embedded server whose clock only moves when
// everybody waits.
func inFakeTime(t *testing.T, test func(t *testing.T, b *Bus)) {
	dir := t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		s := startServer(t, dir, 0)
		defer s.Shutdown()
		b, err := Connect(t.Context(), Options{InProcess: s, Name: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := b.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, b)
	})
}

// watcher returns sightings one by one.
type watcher struct {
	t        *testing.T
	s        Sightings
	ready    []Sighting
	caughtUp bool
}

func watch(t *testing.T, b *Bus) *watcher {
	t.Helper()
	s, err := b.Sightings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &watcher{t: t, s: s}
}

func (w *watcher) next() Sighting {
	w.t.Helper()
	for len(w.ready) == 0 {
		w.wait()
	}
	s := w.ready[0]
	w.ready = w.ready[1:]
	return s
}

func (w *watcher) wait() {
	w.t.Helper()
	seen, caughtUp, err := w.s.Next(within(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	w.ready, w.caughtUp = append(w.ready, seen...), caughtUp
}

func TestALeaseEndsWithAMarker(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		w := watch(t, b)
		defer w.s.Close()
		if w.wait(); !w.caughtUp || len(w.ready) != 0 {
			t.Fatalf("an empty fleet is caught up at once, not %v with %v", w.caughtUp, w.ready)
		}
		start := time.Now()
		beat(t, b, "nyc/n.1", "a", lease)
		if s := w.next(); s.Node != "nyc/n.1" || s.Err != nil || s.Heartbeat == nil || s.Heartbeat.Session != "a" {
			t.Fatalf("sighting is %+v", s)
		}
		s := w.next()
		if s.Node != "nyc/n.1" || s.Heartbeat != nil || s.Err != nil {
			t.Fatalf("end of the lease is %+v", s)
		}
		if after := s.Time.Sub(start); after < lease || after > lease+2*time.Second {
			t.Errorf("lease of %s ended after %s", lease, after)
		}
		beat(t, b, "nyc/n.1", "b", lease)
		if s := w.next(); s.Heartbeat == nil || s.Heartbeat.Session != "b" {
			t.Fatalf("a later heartbeat begins a lease again, not %+v", s)
		}
	})
}

func TestARenewedLeaseDoesNotEnd(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		w := watch(t, b)
		defer w.s.Close()
		var last time.Time
		for range 20 {
			last = time.Now()
			beat(t, b, "n1", "a", lease)
			if s := w.next(); s.Heartbeat == nil {
				t.Fatalf("sighting is %+v, although the lease was renewed", s)
			}
			time.Sleep(lease / 3) // fake time
		}
		if s := w.next(); s.Heartbeat != nil || s.Time.Sub(last) < lease {
			t.Fatalf("lease ended %s after the last heartbeat: %+v", s.Time.Sub(last), s)
		}
	})
}

func TestAFarewellCanBeReadForALease(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		beat(t, b, "n1", "a", lease)
		if err := b.Beat(t.Context(), "n1", heartbeat("n1", "a", true), lease); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lease - 2*time.Second) // fake time
		w := watch(t, b)
		defer w.s.Close()
		if s := w.next(); s.Heartbeat == nil || !s.Heartbeat.Leaving {
			t.Fatalf("sighting is %+v, not the farewell", s)
		}
		if s := w.next(); s.Heartbeat != nil || s.Err != nil {
			t.Fatalf("sighting after the farewell is %+v", s)
		}
	})
}

func TestAReaderStartsWithTheNewestOfEachNode(t *testing.T) {
	b := busOn(t)
	w := watch(t, b)
	for _, session := range []string{"a", "b", "c"} {
		beat(t, b, "n1", session, lease)
		beat(t, b, "n2", session, lease)
	}
	// Once the first reader has them, they are in the lease stream. It need not
	// see what was replaced before it looked.
	for newest := 0; newest < 2; {
		if s := w.next(); s.Heartbeat != nil && s.Heartbeat.Session == "c" {
			newest++
		}
	}
	w.s.Close()
	w = watch(t, b)
	defer w.s.Close()
	for _, want := range []string{"n1", "n2"} {
		if s := w.next(); string(s.Node) != want || s.Heartbeat == nil || s.Heartbeat.Session != "c" {
			t.Errorf("sighting is %+v, want session c of %s", s, want)
		}
	}
	if !w.caughtUp || len(w.ready) != 0 {
		t.Errorf("after the last lease the reader is caught up, not %v with %v", w.caughtUp, w.ready)
	}
}

func TestPoisonStopsNobody(t *testing.T) {
	b := busOn(t)
	w := watch(t, b)
	defer w.s.Close()
	w.wait()
	ttl := func(h nats.Header) nats.Header { h.Set(headerTTL, "15s"); return h }
	stranger := heartbeat("n2", "a", false)
	m, err := events.EncodeTo(b.subjects.Presence("n1"), stranger)
	if err != nil {
		t.Fatal(err)
	}
	endless, err := events.Encode(b.subjects, heartbeat("n1", "a", false))
	if err != nil {
		t.Fatal(err)
	}
	answer := &events.Event{
		ID: "1", Source: events.NodeSource("n1"), Type: events.TypeCommandAnswered, Node: "n1",
		Time: time.Now(), Data: &events.CommandAnswered{},
	}
	answered, err := events.EncodeTo(b.subjects.Presence("n1"), answer)
	if err != nil {
		t.Fatal(err)
	}
	poison := []struct {
		name, subject string
		header        nats.Header
		data          string
	}{
		{"no event", b.subjects.Presence("n1"), ttl(nats.Header{}), "garbage"},
		{"empty", b.subjects.Presence("n1"), ttl(nats.Header{}), ""},
		{"looks like a word of the server", b.subjects.Presence("n1"), ttl(nats.Header{"Status": {"409"}, "Description": {"Consumer Deleted"}}), ""},
		{"no node's subject", b.subjects.Prefix() + ".presence.%zz", ttl(nats.Header{}), "x"},
		{"of another node", m.Subject, ttl(nats.Header(m.Header)), string(m.Data)},
		{"without an end", endless.Subject, endless.Header, string(endless.Data)},
		{"of another type", answered.Subject, ttl(nats.Header(answered.Header)), string(answered.Data)},
	}
	for _, p := range poison {
		publish(t, b, p.subject, p.header, p.data)
		s := w.next()
		var refusal *events.Refusal
		if s.Err == nil || s.Heartbeat != nil || p.name != "no node's subject" && !errors.As(s.Err, &refusal) {
			t.Errorf("%s: sighting is %+v", p.name, s)
		}
	}
	beat(t, b, "n1", "a", lease)
	if s := w.next(); s.Err != nil || s.Heartbeat == nil || !w.caughtUp {
		t.Errorf("sighting after the poison is %+v", s)
	}
}

func TestBeatRefusesWhatIsNoHeartbeatOfTheNode(t *testing.T) {
	b := busOn(t)
	if err := b.Beat(within(t), "n1", heartbeat("n2", "a", false), lease); err == nil {
		t.Error("a heartbeat of another node was published")
	}
	for d, want := range map[time.Duration]time.Duration{
		0: time.Second, time.Second: time.Second, 1500 * time.Millisecond: 2 * time.Second, lease: lease,
	} {
		if have := wholeSeconds(d); have != want {
			t.Errorf("lease of %s is %s, want %s", d, have, want)
		}
	}
}

// TestLeasesLostInARestart: the lease stream is in memory, so a restart takes it
// away. The reader makes it again, and it counts from 1.
func TestLeasesLostInARestart(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, dir, natsd.RandomPort)
	port := portOf(t, server)
	b := connectTo(t, Options{URL: server.URL()})
	if err := b.EnsureStreams(within(t)); err != nil {
		t.Fatal(err)
	}
	w := watch(t, b)
	defer w.s.Close()
	for range 5 {
		beat(t, b, "n1", "before", lease)
		w.next()
	}
	server.Shutdown()
	server = startServer(t, dir, port)
	defer server.Shutdown()
	for w.caughtUp {
		w.wait()
	}
	for !w.caughtUp {
		w.wait()
	}
	w.ready = nil
	beat(t, b, "n1", "after", lease)
	if s := w.next(); s.Heartbeat == nil || s.Heartbeat.Session != "after" {
		t.Fatalf("sighting after the restart is %+v", s)
	}
}

func TestAReaderSurvivesTheLossOfItsConsumer(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		w := watch(t, b)
		defer w.s.Close()
		w.wait()
		tail := w.s.(*sightings).tail
		if err := b.js.DeleteConsumer(t.Context(), tail.stream, tail.consumer); err != nil {
			t.Fatal(err)
		}
		beat(t, b, "n1", "a", lease)
		if s := w.next(); s.Heartbeat == nil {
			t.Fatalf("sighting is %+v", s)
		}
	})
}

// TestAStalledReaderStartsOver: its requests reach nobody, as if the server had
// forgotten them, while the consumer itself is there.
func TestAStalledReaderStartsOver(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		w := watch(t, b)
		defer w.s.Close()
		w.wait()
		tail := w.s.(*sightings).tail
		sink, err := b.nc.SubscribeSync("sink")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = sink.Unsubscribe() }()
		tail.pull.open, tail.pull.request = 0, "sink"
		beat(t, b, "n1", "a", lease)
		if s := w.next(); s.Heartbeat == nil {
			t.Fatalf("sighting is %+v", s)
		}
	})
}

func TestAMessageLostOnItsWayIsReadAgain(t *testing.T) {
	b := busOn(t)
	w := watch(t, b)
	defer w.s.Close()
	w.wait()
	w.s.(*sightings).tail.next++ // as if one had been sent and had not arrived
	beat(t, b, "n1", "a", lease)
	if s := w.next(); s.Heartbeat == nil {
		t.Fatalf("sighting is %+v", s)
	}
}

func TestCloseEndsAWaitingNext(t *testing.T) {
	b := busOn(t)
	w := watch(t, b)
	w.wait()
	failed := make(chan error)
	go func() {
		_, _, err := w.s.Next(t.Context())
		failed <- err
	}()
	w.s.Close()
	if err := <-failed; !errors.Is(err, errClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}
