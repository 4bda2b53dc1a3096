package eventlog

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// listener serves the messages of one subject until it is stopped.
type listener struct {
	subject string
	// group is the queue group, of which one gets each message; empty means none.
	group string
	// queue is how many messages may wait here; more are dropped.
	queue int
	// workers is how many are served side by side.
	workers int
	serve   func(context.Context, *nats.Msg)
}

// listen begins to serve; ctx is handed to serve and ends nothing by itself. stop
// takes no more messages, serves those that have come, and returns when what was
// sent has reached the server. It may be called twice.
func (b *Bus) listen(ctx context.Context, l listener) (stop func(), err error) {
	messages, done := make(chan *nats.Msg, l.queue), make(chan struct{})
	sub, err := b.nc.ChanQueueSubscribe(l.subject, l.group, messages)
	if err != nil {
		return nil, err
	}
	var workers sync.WaitGroup
	for range l.workers {
		workers.Go(func() { l.run(ctx, messages, done) })
	}
	// It can be reached from here on. If the connection is lost meanwhile, the
	// subscription is repeated when it is restored.
	b.flush(ctx)
	return sync.OnceFunc(func() {
		_ = sub.Unsubscribe() // fails only where the connection has ended
		close(done)
		workers.Wait()
		b.flush(context.Background())
	}), nil
}

func (l listener) run(ctx context.Context, messages <-chan *nats.Msg, done <-chan struct{}) {
	for {
		select {
		case m := <-messages:
			l.serve(ctx, m)
		case <-done:
			l.drain(ctx, messages)
			return
		}
	}
}

func (l listener) drain(ctx context.Context, messages <-chan *nats.Msg) {
	for {
		select {
		case m := <-messages:
			l.serve(ctx, m)
		default:
			return
		}
	}
}

// answer sends an event to where m wants its answer; what is named in failures to
// do so. Where it cannot be sent as an event, that of failure goes in its place.
func (b *Bus) answer(m *nats.Msg, what string, answer *events.Event, failure func(error) *events.Event) {
	reply, err := events.EncodeTo(m.Reply, answer)
	if err != nil { // the handler's answer does not fit
		reply, err = events.EncodeTo(m.Reply, failure(fmt.Errorf("encode answer: %w", err)))
	}
	if err == nil {
		err = b.nc.PublishMsg(&nats.Msg{Subject: reply.Subject, Header: reply.Header, Data: reply.Data})
	}
	if err != nil {
		b.tell("answer to a "+what+" could not be sent", plain(err))
	}
}

// flush waits until the server has what was sent, as far as there is a
// connection.
func (b *Bus) flush(ctx context.Context) {
	if !b.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pullGrace)
	defer cancel()
	_ = b.nc.FlushWithContext(ctx)
}
