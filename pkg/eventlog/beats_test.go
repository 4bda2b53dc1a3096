package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func heartbeatOf(i, n int) *events.Event {
	id := fleet.NodeID(fmt.Sprintf("n%d", i))
	data := quiet
	return &events.Event{
		ID: events.NewID("beat", string(id), fmt.Sprint(n)), Source: events.NodeSource(id), Type: events.TypeNodeHeartbeat,
		Node: id, Time: time.Now(), Data: &data,
	}
}

// settledTags collects what Beats tells, each tag once.
type settledTags struct {
	mu   sync.Mutex
	errs map[uint64]error
	all  chan struct{}
	want int
}

func (s *settledTags) note(tag uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, twice := s.errs[tag]; twice {
		err = errors.New("told twice")
	}
	s.errs[tag] = err
	if len(s.errs) == s.want {
		close(s.all)
	}
}

func TestHeartbeatsOfManyNodesAreEachSettledOnce(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	if err := b.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	const nodes = 500
	s := &settledTags{errs: make(map[uint64]error), all: make(chan struct{}), want: nodes}
	x, err := b.Beats(16, s.note)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	ctx := within(t)
	for i := range nodes {
		if err := x.Send(ctx, heartbeatOf(i, 0), lease, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	<-s.all
	for tag, err := range s.errs {
		if err != nil {
			t.Errorf("heartbeat %d: %v", tag, err)
		}
	}
	seen, err := b.CurrentSightings(ctx)
	for err == nil && len(seen) < nodes && ctx.Err() == nil { // the lease stream follows a moment later
		seen, err = b.CurrentSightings(ctx)
	}
	if err != nil || len(seen) != nodes {
		t.Fatalf("%d leases, %v", len(seen), err)
	}
	for _, one := range seen {
		if one.Err != nil || one.Heartbeat == nil {
			t.Errorf("sighting %+v", one)
		}
	}
}

func TestHeartbeatsThatNobodyTakesFail(t *testing.T) {
	b, err := Connect(t.Context(), Options{InProcess: testServer(t, t.TempDir(), 0)}) // no streams
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s := &settledTags{errs: make(map[uint64]error), all: make(chan struct{}), want: 1}
	x, err := b.Beats(1, s.note)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Send(within(t), heartbeatOf(1, 0), lease, 7); err != nil {
		t.Fatal(err)
	}
	<-s.all
	if s.errs[7] == nil {
		t.Error("it is said to be stored")
	}
	if _, err := b.Beats(0, s.note); err == nil {
		t.Error("a window of nothing was taken")
	}
}

func TestOneServesTheCommandsOfManyNodes(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	var handled atomic.Int32
	stop, err := b.ServeCommandsOf(t.Context(), func(id fleet.NodeID) bool { return id != "other" }, 4,
		func(_ context.Context, e *events.Event) *events.Event {
			handled.Add(1)
			return &events.Event{
				ID: "answer", Source: events.NodeSource(e.Node), Type: events.TypeCommandAnswered, Node: e.Node, Time: time.Now(), Data: &events.CommandAnswered{},
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	command := func(id fleet.NodeID) *events.Event {
		return &events.Event{
			ID: "command", Source: events.SourceExecutor, Type: events.TypeCredentialConfirmed, Node: id, Time: time.Now(), Data: &events.CredentialConfirmed{Serial: "0a"},
		}
	}
	for _, id := range []fleet.NodeID{"a", "b", "c.d"} {
		answer, err := b.Command(within(t), command(id))
		if err != nil || answer.Node != id {
			t.Errorf("%s: %+v, %v", id, answer, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Command(ctx, command("other")); err == nil || handled.Load() != 3 {
		t.Errorf("another's command: %v after %d", err, handled.Load())
	}
}
