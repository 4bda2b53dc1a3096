package eventlog

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ear keeps what the bus tells.
type ear struct {
	mu       sync.Mutex
	events   []string
	restored chan struct{}
}

func (e *ear) hear(event string, err error) {
	if event == "connection restored" {
		close(e.restored)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		event += ": " + err.Error()
	}
	e.events = append(e.events, event)
}

// heard returns what was told since it was last asked.
func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	events := e.events
	e.events = nil
	return events
}

// lockedDoor lets nobody in and says that somebody tried.
type lockedDoor struct {
	doorway
	tries chan struct{}
}

func (d *lockedDoor) InProcessConn() (net.Conn, error) {
	c, err := d.doorway.InProcessConn()
	if err != nil {
		d.tries <- struct{}{}
	}
	return c, err
}

// Whoever reads waits for the connection. That it is lost is said once, however
// many readers there are and however long it takes.
func TestAnOutageIsToldOnceAndEndsForEveryReader(t *testing.T) {
	dir := t.TempDir()
	s := testServer(t, dir, 0)
	door := &lockedDoor{doorway: doorway{s: s}, tries: make(chan struct{}, 100)}
	told := &ear{restored: make(chan struct{})}
	b := testBus(t, s, Options{})
	b.Close()
	b, err := Connect(t.Context(), Options{InProcess: door, Logger: told.hear})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	read := readAll(t, b)
	told.heard()

	door.lead(nil)
	s.Shutdown()
	for range 5 { // that is most of a second
		<-door.tries
	}
	// Before it goes the server says so to each reader.
	lost := func(event string) bool { return strings.HasPrefix(event, "connection lost") }
	if events := told.heard(); len(events) == 0 || slices.IndexFunc(events, lost) != len(events)-1 {
		t.Errorf("without a server the bus told %q", events)
	}
	refused(t, b)

	door.lead(testServer(t, dir, 0))
	<-told.restored
	mustAppend(t, b.Log(), appeared(1))
	publishActions(t, b, 1)
	beatUntilStored(t, b)
	read()
}

// beatUntilStored waits for the streams in memory, which a reader makes again.
func beatUntilStored(t *testing.T, b *Bus) {
	t.Helper()
	for limit := patience(t); ; {
		err := b.Beat(limit, "n1", heartbeat("n1", "a", false), lease)
		if err == nil {
			return
		}
		if limit.Err() != nil {
			t.Fatal(err)
		}
	}
}

// readAll starts one reader of each kind. The function it returns waits until
// each has read something.
func readAll(t *testing.T, b *Bus) func() {
	t.Helper()
	cursor, err := b.Log().Follow(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := b.Sightings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	actions := takeActions(t, b, 1, ackWait)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer cursor.Close()
		if _, err := cursor.Next(t.Context()); err != nil {
			t.Errorf("cursor: %v", err)
		}
	})
	reading.Go(func() {
		defer seen.Close()
		for n := 0; n == 0; {
			got, _, err := seen.Next(t.Context())
			if err != nil {
				t.Errorf("sightings: %v", err)
				return
			}
			n = len(got)
		}
	})
	reading.Go(func() {
		defer actions.Close()
		if _, err := actions.Next(t.Context()); err != nil {
			t.Errorf("actions: %v", err)
		}
	})
	return reading.Wait
}

// refused checks that what cannot be sent is refused in plain words.
func refused(t *testing.T, b *Bus) {
	t.Helper()
	_, last := b.Log().Last(t.Context())
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, appending := b.Log().Append(short, appeared(1))
	_, getting := b.GetInventory(t.Context(), digestPrefix+strings.Repeat("0", 64))
	for what, err := range map[string]error{
		"last": last, "append": appending, "inventory": getting,
		"beat":     b.Beat(short, "n1", heartbeat("n1", "a", false), lease),
		"farewell": b.Beat(t.Context(), "n1", heartbeat("n1", "a", true), lease),
	} {
		if err == nil || !strings.HasSuffix(err.Error(), "not connected to the server") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
