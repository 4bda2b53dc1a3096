package eventlog

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// requestTimeout bounds what is asked of the server at once.
const requestTimeout = 5 * time.Second

// question bounds what is asked of the server at once. The client library does so
// only where the caller has no deadline, and then an answer that never comes, such
// as that of a server that was lost meanwhile, takes all the time there is.
func question(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTimeout)
}

// errUnanswered says that the connection was lost while an answer was awaited.
var errUnanswered = errors.New("connection lost before the answer came")

// ask is a question of one request that also ends with the connection it was made
// on: the answer could not come any more.
func ask[T any](ctx context.Context, b *Bus, request func(context.Context) (T, error)) (T, error) {
	bounded, cancel := question(ctx)
	defer cancel()
	defer context.AfterFunc(b.present(), cancel)()
	answer, err := request(bounded)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = offlineError{errUnanswered}
	}
	return answer, plain(err)
}

// online waits for a connection, so that a caller who tries again and again
// during an outage does not spin.
func (b *Bus) online(ctx context.Context) error {
	ctx, cancel := question(ctx)
	defer cancel()
	for {
		back := b.nextReconnect() // before asking, so that none is missed
		if b.nc.IsConnected() {
			return nil
		}
		select {
		case <-back:
		case <-b.closed:
			return nats.ErrConnectionClosed
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return offlineError{ctx.Err()}
			}
			return context.Cause(ctx)
		}
	}
}
