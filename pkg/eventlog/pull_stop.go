package eventlog

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// stop reads no more. What had already come, and what the request that is still
// open at the server brings until it ends or the connection does, goes to
// unread: the server thinks it was handed out, and would keep it from others
// until its time is over.
func (p *pull) stop(unread func(*nats.Msg)) {
	go func() {
		defer p.bus.nc.RemoveStatusListener(p.closed)
		defer func() { _ = p.sub.Unsubscribe() }() // fails only where the connection has ended
		timer := time.NewTimer(time.Until(p.deadline))
		defer timer.Stop()
		for p.open > 0 || p.waiting() {
			select {
			case m := <-p.messages:
				if m, _ := p.take(m); m != nil {
					unread(m)
				}
			case <-p.closed:
				return
			case <-timer.C:
				return
			}
		}
	}()
}

// withdrawTime bounds the wait for the server to hear that nothing is asked for.
const withdrawTime = 2 * time.Second

// withdraw takes back what is still asked for. When it returns the server hands
// out nothing more to this one, and unread has had all that had come: what is
// given back from then on goes to others. A server that is away forgets by itself.
func (p *pull) withdraw(unread func(*nats.Msg)) {
	defer p.bus.nc.RemoveStatusListener(p.closed)
	if err := p.sub.Drain(); err != nil {
		return // the connection has ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTime)
	defer cancel()
	if p.bus.nc.IsConnected() {
		_ = p.bus.nc.FlushWithContext(ctx)
	}
	for p.waiting() {
		if m, _ := p.take(<-p.messages); m != nil {
			unread(m)
		}
	}
}
