package eventlog

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// doorway leads to whichever server runs now.
type doorway struct {
	mu sync.Mutex
	s  *natsd.Server
}

func (d *doorway) InProcessConn() (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.s == nil {
		return nil, errors.New("no server")
	}
	return d.s.InProcessConn()
}

func (d *doorway) lead(s *natsd.Server) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.s = s
}

func TestACursorAndAppendSurviveARestartOfTheServer(t *testing.T) {
	dir := t.TempDir()
	s := testServer(t, dir, 0)
	door := &doorway{s: s}
	b := testBus(t, s, Options{})
	b.Close()
	told := make(chan string, 100)
	b, err := Connect(t.Context(), Options{InProcess: door, Logger: func(event string, _ error) {
		select {
		case told <- event:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	l := b.Log()
	mustAppend(t, l, appeared(1), appeared(2))
	c, err := l.Follow(patience(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mustTake(t, c, 0, 2)

	door.lead(nil)
	s.Shutdown()
	for event := range told {
		if event == "connection lost" {
			break
		}
	}
	if b.Connected() {
		t.Error("connected to a server that is gone")
	}
	next := make(chan []Record)
	go func() {
		records, err := c.Next(patience(t))
		if err != nil {
			t.Errorf("next across a restart: %v", err)
		}
		next <- records
	}()
	door.lead(testServer(t, dir, 0))
	mustAppend(t, l, appeared(3))
	if records := <-next; len(records) != 1 || records[0].Sequence != 3 {
		t.Fatalf("after the restart: %+v", records)
	}
}

func followed(t *testing.T, b *Bus, stall time.Duration) (*streamLog, *streamCursor) {
	t.Helper()
	l := &streamLog{bus: b, name: b.logStream(), stall: stall}
	c, err := l.Follow(patience(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return l, c.(*streamCursor)
}

func TestAConsumerThatFallsSilentIsReplaced(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	l, c := followed(t, b, 20*time.Millisecond)
	mustAppend(t, l, appeared(1))
	mustTake(t, c, 0, 1)
	if err := c.feed.pull.sub.Unsubscribe(); err != nil { // and nobody says so
		t.Fatal(err)
	}
	mustAppend(t, l, appeared(2))
	mustTake(t, c, 1, 1)
}

func TestSilenceIsConfirmed(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	_, c := followed(t, b, 20*time.Millisecond)
	first := c.Confirmed()
	if first.IsZero() {
		t.Fatal("an empty log was not confirmed as read to its end")
	}
	for !c.Confirmed().After(first) {
		c.wait(patience(t)) // one turn of Next: nothing comes, so it asks
	}
}

func TestADeletedConsumerIsReplacedAtOnce(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	l, c := followed(t, b, time.Hour)
	s, err := b.js.Stream(patience(t), b.logStream())
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.ConsumerNames(patience(t)).Name() {
		if err := s.DeleteConsumer(patience(t), name); err != nil {
			t.Fatal(err)
		}
	}
	mustAppend(t, l, appeared(1))
	mustTake(t, c, 0, 1)
}

func TestAMessageLostOnTheWayIsFetchedAgain(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	l, c := followed(t, b, time.Hour)
	mustAppend(t, l, appeared(1))
	<-c.feed.messages
	mustAppend(t, l, appeared(2), appeared(3)) // behind which the gap shows
	mustTake(t, c, 0, 3)
}

func TestAMessageMissingFromTheLogIsAGap(t *testing.T) {
	for name, missing := range map[string]uint64{"the first": 1, "one in the middle": 3} {
		t.Run(name, func(t *testing.T) {
			b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
			l, c := followed(t, b, time.Hour)
			mustAppend(t, l, appeared(1), appeared(2), appeared(3), appeared(4))
			c.drop()
			lose(t, b, missing)
			if missing > 1 {
				mustTake(t, c, 0, int(missing-1))
			}
			for range 2 {
				if _, err := c.Next(patience(t)); !errors.Is(err, ErrGap) {
					t.Fatalf("next: %v, want ErrGap", err)
				}
			}
			if missing > 1 {
				if records, err := l.Read(patience(t), 0, 10); err != nil || len(records) != int(missing-1) {
					t.Fatalf("read up to the gap: %d records, %v", len(records), err)
				}
			}
			if _, err := l.Read(patience(t), missing-1, 10); !errors.Is(err, ErrGap) {
				t.Fatalf("read: %v, want ErrGap", err)
			}
		})
	}
}

// Nothing follows by which the gap would show.
func TestAMissingEndIsAGap(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	mustAppend(t, b.Log(), appeared(1), appeared(2), appeared(3))
	lose(t, b, 3)
	_, c := followed(t, b, 20*time.Millisecond)
	mustTake(t, c, 0, 2)
	if records, err := c.Next(patience(t)); !errors.Is(err, ErrGap) {
		t.Fatalf("next: %d records, %v, want ErrGap", len(records), err)
	}
}

// lose removes a message as only somebody with rights over the stream could:
// from a copy of the stream that allows it.
func lose(t *testing.T, b *Bus, seq uint64) {
	t.Helper()
	ctx := patience(t)
	s, err := b.js.Stream(ctx, b.logStream())
	if err != nil {
		t.Fatal(err)
	}
	var kept []*nats.Msg
	for i := uint64(1); i <= s.CachedInfo().State.LastSeq; i++ {
		m, err := s.GetMsg(ctx, i)
		if err != nil {
			t.Fatal(err)
		}
		events.Strip(m.Header, transportHeaders)
		kept = append(kept, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	if err := b.js.DeleteStream(ctx, b.logStream()); err != nil {
		t.Fatal(err)
	}
	config := b.logConfig()
	config.DenyDelete = false
	copied, err := b.js.CreateStream(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range kept {
		if _, err := b.js.PublishMsg(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := copied.DeleteMsg(ctx, seq); err != nil {
		t.Fatal(err)
	}
}

func TestClosingTheBusEndsNext(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	l, c := followed(t, b, time.Hour)
	ended := make(chan error)
	go func() { _, err := c.Next(patience(t)); ended <- err }()
	b.Close()
	if err := <-ended; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("next: %v", err)
	}
	if _, err := l.Append(patience(t), appeared(1)); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("append: %v", err)
	}
}

func TestFleetsThatShareAServerDoNotSeeEachOther(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	one, two := testBus(t, s, Options{Prefix: "one"}), testBus(t, s, Options{Prefix: "two"})
	mustAppend(t, one.Log(), appeared(1), appeared(2))
	mustAppend(t, two.Log(), appeared(3))
	for b, want := range map[*Bus]int{one: 2, two: 1} {
		records, err := b.Log().Read(patience(t), 0, 10)
		if err != nil || len(records) != want {
			t.Errorf("%s: %d records, %v; want %d", b.Subjects().Prefix(), len(records), err, want)
		}
		for _, r := range records {
			if r.Err != nil {
				t.Errorf("%s: record %d: %v", b.Subjects().Prefix(), r.Sequence, r.Err)
			}
		}
	}
}
