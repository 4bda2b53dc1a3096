package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func unacknowledged(t *testing.T, b *Bus) int {
	t.Helper()
	c, err := b.js.Consumer(within(t), b.logStream(), actionConsumer)
	if err != nil {
		t.Fatal(err)
	}
	return c.CachedInfo().NumAckPending
}

func TestManyAcknowledgementsAreConfirmedTogether(t *testing.T) {
	b := busOn(t)
	const n = 100
	publishActions(t, b, n)
	a := takeActions(t, b, manyOut, ackWait)
	defer a.Close()
	var all sync.WaitGroup
	for range n {
		d := take(t, a) // more than run side by side are out
		all.Go(func() {
			if err := d.Ack(within(t)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if left := unacknowledged(t, b); left != 0 {
		t.Errorf("%d actions are out after all were acknowledged", left)
	}
}

func TestFewSideBySideAreAllThatIsOut(t *testing.T) {
	for concurrency, want := range map[int]int{1: 1, manyOut - 1: manyOut - 1, manyOut: 8 * manyOut} {
		if got := out(concurrency); got != want {
			t.Errorf("with %d side by side %d may be out, want %d", concurrency, got, want)
		}
	}
}

// The server's word on one connection says nothing of what was sent on another.
func TestWhatWasSentOnALostConnectionIsAcknowledgedAgain(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, dir, natsd.RandomPort)
	b := connectTo(t, Options{URL: server.URL()})
	if err := b.EnsureStreams(within(t)); err != nil {
		t.Fatal(err)
	}
	publishActions(t, b, 2)
	a := takeActions(t, b, 2, ackWait).(*actions)
	defer a.Close()
	a.acks.busy = true // as if one waited for the server's word
	first, second := a.acks.join("first"), a.acks.join("second")

	restored, port := b.nextReconnect(), portOf(t, server)
	server.Shutdown()
	server = startServer(t, dir, port)
	defer server.Shutdown()
	<-restored
	words, err := b.nc.Subscribe("*", func(m *nats.Msg) { _ = m.Respond(nil) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = words.Unsubscribe() }()
	if err := b.nc.FlushWithContext(within(t)); err != nil {
		t.Fatal(err)
	}
	third := a.acks.join("third")
	a.acks.next()
	for name, one := range map[string]*acked{"first": first, "second": second, "third": third} {
		<-one.done
		if one.confirmed != (name == "third") {
			t.Errorf("%s: confirmed is %v", name, one.confirmed)
		}
	}
}

// A batch that loses a race leaves nothing of itself on what is then appended alone.
func TestWhatIsQueuedIsStoredOrRefusedByItself(t *testing.T) {
	b := busOn(t)
	group := NewGroup(b.Log())
	var queued []*Queued
	for i := range 30 {
		e := &events.Event{
			ID: fmt.Sprint("lost-", i), Source: events.SourcePlanner, Type: events.TypeNodeLost, Node: fleet.NodeID(fmt.Sprint("n", i)),
			Time: time.Now(), Data: &events.NodeLost{Epoch: 1, Reason: "lease_expired"},
		}
		fence := LastOnSubject(0)
		if i == 20 {
			fence = LastOnSubject(7)
		}
		queued = append(queued, group.Queue(t.Context(), Entry{Event: e, Fence: fence}))
	}
	for i, q := range queued {
		_, err := q.Wait()
		if lost := errors.Is(err, ErrConflict); lost != (i == 20) || err != nil && !lost {
			t.Errorf("number %d: %v", i, err)
		}
		if err == nil && q.Sent().IsZero() {
			t.Errorf("number %d was stored and never sent", i)
		}
	}
	records, err := b.Log().Read(within(t), 0, 100)
	if err != nil || len(records) != 29 {
		t.Fatalf("the log has %d records, %v", len(records), err)
	}
	for _, r := range records {
		if r.Err != nil {
			t.Errorf("sequence %d: %v", r.Sequence, r.Err)
		}
	}
}

// What is queued first is appended first, whoever comes while it is.
func TestWhatIsQueuedFirstStandsFirst(t *testing.T) {
	for range 20 {
		log := NewMemory(events.DefaultSubjects(), nil)
		group := NewGroup(log)
		one := func(id fleet.NodeID) *Queued {
			return group.Queue(context.Background(), Entry{Event: &events.Event{
				ID: string(id), Source: events.SourcePlanner, Type: events.TypeNodeLost, Node: id, Time: time.Now(), Data: &events.NodeLost{Epoch: 1, Reason: "lease_expired"},
			}})
		}
		first, second := one("a"), one("b")
		at, err := first.Wait()
		behind, other := second.Wait()
		if err != nil || other != nil || at != 1 || behind != 2 {
			t.Fatalf("the first is at %d, %v, the second at %d, %v", at, err, behind, other)
		}
	}
}
