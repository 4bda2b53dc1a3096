package eventlog

import (
	"github.com/nats-io/nats.go/jetstream"
)

// feedBuffer is how many messages wait for the next Next.
const feedBuffer = 1024

// feed is one consumer, for as long as nothing is wrong with it.
type feed struct {
	messages chan jetstream.Msg
	// broken gets the first error of the consumer.
	broken chan error
	// back is closed when the connection the consumer was made on is replaced:
	// what was under way on the old one is lost.
	back <-chan struct{}
	done chan struct{}
	sub  jetstream.ConsumeContext
}

func startFeed(consumer jetstream.Consumer, back <-chan struct{}) (*feed, error) {
	f := &feed{
		messages: make(chan jetstream.Msg, feedBuffer),
		broken:   make(chan error, 1),
		back:     back,
		done:     make(chan struct{}),
	}
	var err error
	f.sub, err = consumer.Consume(f.put, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		select {
		case f.broken <- err:
		default: // one is enough
		}
	}))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// put holds the consumer back while nobody reads.
func (f *feed) put(m jetstream.Msg) {
	select {
	case f.messages <- m:
	case <-f.done:
	}
}

// ready is the next message that has already arrived, or nil.
func (f *feed) ready() jetstream.Msg {
	select {
	case m := <-f.messages:
		return m
	default:
		return nil
	}
}

func (f *feed) stop() {
	close(f.done)
	f.sub.Stop()
}
