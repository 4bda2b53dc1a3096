package eventlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
)

const (
	// beatPatience is how long an acknowledgement may take before the heartbeat
	// counts as failed. It may have been stored all the same.
	beatPatience = 5 * time.Second
	// beatSweep is how often that is looked for.
	beatSweep = time.Second
)

// errNoAck says that a heartbeat was not acknowledged in time.
var errNoAck = errors.New("heartbeat was not acknowledged in time")

// Beats publishes the heartbeats of many nodes over one connection without
// waiting for each: Beat for those who speak for thousands. It is safe for use by
// several goroutines.
type Beats struct {
	bus     *Bus
	inbox   string
	sub     *nats.Subscription
	settled func(tag uint64, err error)
	good    []byte // how the acknowledgement of the right stream begins
	free    chan int
	stop    context.CancelFunc
	swept   chan struct{}

	mu    sync.Mutex
	slots []beatSlot
}

// beatSlot is a heartbeat under way, or room for one.
type beatSlot struct {
	taken bool
	turn  uint64 // tells an acknowledgement that came too late
	tag   uint64
	sent  time.Time
}

// Beats returns a publisher with at most window heartbeats under way. settled is
// told once of each that Send took, with its tag, and nil once it is stored; from
// goroutines of the publisher, which it must not hold up.
func (b *Bus) Beats(window int, settled func(tag uint64, err error)) (*Beats, error) {
	if window < 1 {
		return nil, fmt.Errorf("publish heartbeats: a window of %d lets none through", window)
	}
	x := &Beats{
		bus: b, inbox: b.nc.NewInbox(), settled: settled, good: []byte(`{"stream":"` + b.ingestStream() + `",`),
		free: make(chan int, window), swept: make(chan struct{}), slots: make([]beatSlot, window),
	}
	for i := range window {
		x.free <- i
	}
	var err error
	if x.sub, err = b.nc.Subscribe(x.inbox+".*", x.acknowledged); err != nil {
		return nil, fmt.Errorf("publish heartbeats: %w", plain(err))
	}
	// No limit: each message frees a slot, so that there are never more than slots.
	if err := x.sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("publish heartbeats: %w", plain(err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.stop = cancel
	go x.sweep(ctx)
	return x, nil
}

// Send publishes a heartbeat that counts for lease, as Beat does. It waits while
// as many as the window holds are under way. An error says that it was not sent;
// settled hears nothing of it then.
func (x *Beats) Send(ctx context.Context, heartbeat *events.Event, lease time.Duration, tag uint64) error {
	if heartbeat.Type != events.TypeNodeHeartbeat {
		return fmt.Errorf("publish heartbeat of %s: event is %s", heartbeat.Node, heartbeat.Type)
	}
	m, err := events.Encode(x.bus.subjects, heartbeat)
	if err != nil {
		return fmt.Errorf("encode heartbeat: %w", err)
	}
	m.Header[headerTTL] = []string{wholeSeconds(lease).String()}
	var at int
	select {
	case at = <-x.free:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	x.mu.Lock()
	s := &x.slots[at]
	s.taken, s.turn, s.tag, s.sent = true, s.turn+1, tag, time.Now()
	reply := x.inbox + "." + strconv.Itoa(at) + "-" + strconv.FormatUint(s.turn, 36)
	x.mu.Unlock()
	if err := x.bus.nc.PublishMsg(&nats.Msg{Subject: m.Subject, Reply: reply, Header: m.Header, Data: m.Data}); err != nil {
		x.end(at, func(beatSlot) bool { return true })
		return fmt.Errorf("publish heartbeat of %s: %w", heartbeat.Node, plain(err))
	}
	return nil
}

// Idle waits until none is under way.
func (x *Beats) Idle(ctx context.Context) error {
	for got := 0; got < cap(x.free); got++ {
		select {
		case at := <-x.free:
			defer func() { x.free <- at }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Close ends it; of those that are under way nothing is told any more.
func (x *Beats) Close() {
	_ = x.sub.Unsubscribe() // fails only where the connection has ended
	x.stop()
	<-x.swept
}

// end frees the slot if ends holds of it, and returns the tag of what was under
// way there. Whoever is told true is the only one for this heartbeat.
func (x *Beats) end(at int, ends func(beatSlot) bool) (tag uint64, ended bool) {
	x.mu.Lock()
	s := &x.slots[at]
	if ended = s.taken && ends(*s); ended {
		s.taken = false
	}
	tag = s.tag
	x.mu.Unlock()
	if ended {
		x.free <- at
	}
	return tag, ended
}

func (x *Beats) acknowledged(m *nats.Msg) {
	slot, turn, ok := strings.Cut(m.Subject[len(x.inbox)+1:], "-")
	at, err := strconv.Atoi(slot)
	n, err2 := strconv.ParseUint(turn, 36, 64)
	if !ok || err != nil || err2 != nil || at < 0 || at >= len(x.slots) {
		return
	}
	if tag, ended := x.end(at, func(s beatSlot) bool { return s.turn == n }); ended {
		x.settled(tag, x.read(m))
	}
}

// read is nil for the word of the stream that the heartbeat is stored.
func (x *Beats) read(m *nats.Msg) error {
	if bytes.HasPrefix(m.Data, x.good) {
		return nil
	}
	if status := m.Header.Get("Status"); status != "" {
		return fmt.Errorf("no stream takes heartbeats: %s", status)
	}
	var ack struct {
		Stream string `json:"stream"`
		Error  *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &ack); {
	case err != nil:
		return fmt.Errorf("read acknowledgement: %w", err)
	case ack.Error != nil:
		return errors.New(ack.Error.Description)
	case ack.Stream != x.bus.ingestStream():
		return fmt.Errorf("stream %s answered instead of %s", ack.Stream, x.bus.ingestStream())
	}
	return nil
}

// sweep gives up on what was not acknowledged in time.
func (x *Beats) sweep(ctx context.Context) {
	defer close(x.swept)
	tick := time.NewTicker(beatSweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for at := range x.slots {
				if tag, ended := x.end(at, func(s beatSlot) bool { return now.Sub(s.sent) > beatPatience }); ended {
					x.settled(tag, errNoAck)
				}
			}
		}
	}
}
