package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// ErrNoReceiver means that nobody takes posts for the node right now.
var ErrNoReceiver = errors.New("no receiver listens")

// postQueue is how many posts may wait at a receiver; more are dropped, and
// whoever sent them hears nothing.
const postQueue = 256

// PostSubject is the subject that posts to a node travel on.
func (b *Bus) PostSubject(id fleet.NodeID) string { return b.subjects.Post(id) }

// Post sends a message to the receiver on m.Subject, one of PostSubject, and
// returns the answer. Posts are not stored: the error is ErrNoReceiver when nobody
// listens; any other leaves it open whether the post arrived.
func (b *Bus) Post(ctx context.Context, m events.Message) (events.Message, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	reply, err := b.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return events.Message{}, fmt.Errorf("post to %s: %w", m.Subject, ErrNoReceiver)
	case err != nil:
		return events.Message{}, fmt.Errorf("post to %s: %w", m.Subject, plain(err))
	}
	return events.Message{Subject: reply.Subject, Header: reply.Header, Data: reply.Data}, nil
}

// ServePosts hands the posts to node id to handle, one at a time and in the order
// they come, and sends back what it returns, until ctx ends or stop is called,
// which returns when handle does. stop must be called, and may be called twice.
func (b *Bus) ServePosts(ctx context.Context, id fleet.NodeID, handle func(context.Context, events.Message) events.Message) (stop func(), err error) {
	posts := make(chan *nats.Msg, postQueue)
	sub, err := b.nc.ChanSubscribe(b.subjects.Post(id), posts)
	if err != nil {
		return nil, fmt.Errorf("listen for posts to %s: %w", id, plain(err))
	}
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			select {
			case m := <-posts:
				b.answerPost(ctx, m, handle)
			case <-ctx.Done():
				return
			}
		}
	})
	b.flush(ctx) // from here on the receiver can be reached
	return sync.OnceFunc(func() {
		_ = sub.Unsubscribe() // fails only where the connection has ended
		cancel()
		serving.Wait()
	}), nil
}

func (b *Bus) answerPost(ctx context.Context, m *nats.Msg, handle func(context.Context, events.Message) events.Message) {
	answer := handle(ctx, events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	if m.Reply == "" {
		return
	}
	err := b.nc.PublishMsg(&nats.Msg{Subject: m.Reply, Header: answer.Header, Data: answer.Data})
	if err != nil {
		b.tell("answer to a post could not be sent", plain(err))
	}
}
