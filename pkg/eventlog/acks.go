package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// acks acknowledges together what several goroutines acknowledge at the same time.
// The server takes the acknowledgements of one connection in the order in which
// they were sent, so its word on the last one holds for all that were sent before
// it on the same connection. Who comes while nobody else waits for that word waits
// for nobody.
type acks struct {
	bus     *Bus
	mu      sync.Mutex
	busy    bool
	waiting []*acked
}

// acked is one that waits for others.
type acked struct {
	reply string
	// confirmed is valid when done is closed.
	confirmed bool
	done      chan struct{}
}

// send returns when the server has confirmed that the delivery is acknowledged.
func (a *acks) send(ctx context.Context, reply string) error {
	a.mu.Lock()
	if !a.busy {
		a.busy = true
		a.mu.Unlock()
		defer a.next()
		return a.bus.ack(ctx, reply)
	}
	one := &acked{reply: reply, done: make(chan struct{})}
	a.waiting = append(a.waiting, one)
	a.mu.Unlock()
	select {
	case <-one.done:
		if one.confirmed {
			return nil
		}
	case <-ctx.Done():
	}
	return a.bus.ack(ctx, reply) // a second one is harmless
}

// next lets those be sent who have waited, while nobody waits for them.
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
		confirmed := a.bus.ackAll(some)
		for _, one := range some {
			one.confirmed = confirmed
			close(one.done)
		}
	}()
}

// ackAll says whether the server has confirmed all.
func (b *Bus) ackAll(some []*acked) bool {
	before := b.nc.Stats().Reconnects
	last := len(some) - 1
	for _, one := range some[:last] {
		if b.nc.Publish(one.reply, []byte("+ACK")) != nil {
			return false
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), pullExpires)
	defer cancel()
	if _, err := b.nc.RequestWithContext(ctx, some[last].reply, []byte("+ACK")); err != nil {
		return false
	}
	// What was under way on a connection that is replaced is lost with it.
	return b.nc.Stats().Reconnects == before
}

// ack repeats the acknowledgement until the server confirms it: that is
// harmless, and a lost one would have the action run again.
func (b *Bus) ack(ctx context.Context, reply string) error {
	for try := 0; ; try++ {
		once, cancel := context.WithTimeout(ctx, pullExpires)
		_, err := b.nc.RequestWithContext(once, reply, []byte("+ACK"))
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
