package eventlog

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

const (
	// feedSlice is how many messages are handed on at a time at most: few enough
	// to be still in the processor's cache when the next stage works on them.
	feedSlice = 128
	// feedBuffer is how many such slices wait for the next Next.
	feedBuffer = 4
	// feedBatch is how many messages one request asks for at most: so many that
	// the wait between two requests does not count on a long history, however far
	// away the server is. What they may weigh together is bounded besides.
	feedBatch = 4000
	// feedLeast is how many it asks for where they come faster than they are
	// worked on: then those that wait only fall out of the processor's cache.
	feedLeast = 500
)

// feed is one consumer, for as long as nothing is wrong with it. It asks for
// messages itself, by a pull: with the client library's reader, whoever can
// write to the log could hide a message from every reader of it, with a header.
type feed struct {
	// messages are handed on in the order and as many at a time as they came.
	messages chan []*nats.Msg
	// broken gets the error that ended the feed.
	broken chan error
	// back is closed when the connection the consumer was made on is replaced:
	// what was under way on the old one is lost.
	back <-chan struct{}
	pull *pull
	// end stops the reading, ended says that it has stopped.
	end   context.CancelFunc
	ended chan struct{}
}

func (b *Bus) startFeed(stream, consumer string, back <-chan struct{}) (*feed, error) {
	p, err := b.newPull(stream, consumer, feedBatch)
	if err != nil {
		return nil, err
	}
	// Two requests are open at a time.
	p.batch, p.ahead, p.maxBytes = feedLeast, feedLeast/2, readBytes/2
	p.least, p.most = feedLeast, feedBatch
	f := &feed{
		messages: make(chan []*nats.Msg, feedBuffer), broken: make(chan error, 1), back: back, pull: p,
		ended: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.end = cancel
	go f.read(ctx)
	return f, nil
}

// read holds the consumer back while nobody takes what it has read.
func (f *feed) read(ctx context.Context) {
	defer close(f.ended)
	defer f.pull.stop(func(*nats.Msg) {})
	for {
		some, err := f.pull.some(ctx, feedSlice)
		if len(some) > 0 {
			select {
			case f.messages <- some:
			case <-ctx.Done():
				return
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, errPullIdle):
			f.broken <- err
			return
		}
	}
}

func (f *feed) stop() {
	f.end()
	<-f.ended
}
