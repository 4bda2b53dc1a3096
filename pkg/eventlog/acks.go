package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// acks sends acknowledgements at once, and has the server confirm together what
// several goroutines acknowledge at the same time. The server takes the
// acknowledgements of one connection in the order in which they were sent, so its
// word on the last one holds for all that were sent before it on that connection.
// Who comes while nobody else waits for that word waits for nobody.
type acks struct {
	bus     *Bus
	mu      sync.Mutex
	busy    bool
	waiting []*acked
}

// acked is one that was sent while others were waited for.
type acked struct {
	reply string
	// on is the connection that it was sent on, by its number.
	on uint64
	// confirmed is valid when done is closed.
	confirmed bool
	done      chan struct{}
}

// send returns when the server has confirmed that the delivery is acknowledged.
func (a *acks) send(ctx context.Context, reply string) error {
	one := a.join(reply)
	if one == nil {
		defer a.next()
		return a.bus.ack(ctx, reply)
	}
	select {
	case <-one.done:
		if one.confirmed {
			return nil
		}
	case <-ctx.Done():
	}
	return a.bus.ack(ctx, reply) // a second one is harmless
}

// join sends the acknowledgement and waits with others, or returns nil where there
// are none.
func (a *acks) join(reply string) *acked {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.busy {
		a.busy = true
		return nil
	}
	one := &acked{reply: reply, on: a.bus.nc.Stats().Reconnects, done: make(chan struct{})}
	_ = a.bus.nc.Publish(reply, ackBody) // what is not sent is not confirmed either
	a.waiting = append(a.waiting, one)
	return one
}

// next lets those be confirmed who have waited, while nobody waits for them.
func (a *acks) next() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		a.busy = false
		return
	}
	some := a.waiting
	a.waiting = nil
	go func() {
		defer a.next()
		on, ok := a.bus.confirm(some[len(some)-1].reply)
		for _, one := range some {
			one.confirmed = ok && one.on == on
			close(one.done)
		}
	}()
}

// confirm acknowledges once more, waits for the server's word, and says on which
// connection it came.
func (b *Bus) confirm(reply string) (on uint64, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), pullExpires)
	defer cancel()
	before := b.nc.Stats().Reconnects
	_, err := b.nc.RequestWithContext(ctx, reply, ackBody)
	after := b.nc.Stats().Reconnects
	return after, err == nil && before == after
}

var ackBody = []byte("+ACK")

// ack repeats the acknowledgement until the server confirms it: that is
// harmless, and a lost one would have the action run again.
func (b *Bus) ack(ctx context.Context, reply string) error {
	for try := 0; ; try++ {
		once, cancel := context.WithTimeout(ctx, pullExpires)
		_, err := b.nc.RequestWithContext(once, reply, ackBody)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("acknowledge action: %w", plain(err))
		}
		if err := b.pause(ctx, try); err != nil {
			return fmt.Errorf("acknowledge action: %w", err)
		}
	}
}
