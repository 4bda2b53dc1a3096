package floor

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Read reads a stream in order from its first message to the one with the
// sequence last, and returns how many there were.
func (b *Bus) Read(ctx context.Context, stream string, last uint64) (n int, err error) {
	seen, stop, err := b.ordered(ctx, stream, "")
	if err != nil {
		return 0, err
	}
	defer stop()
	for {
		select {
		case seq := <-seen:
			if n++; seq >= last {
				return n, nil
			}
		case <-ctx.Done():
			return n, fmt.Errorf("read %s bare: %w", stream, context.Cause(ctx))
		}
	}
}

// Watch hands out the sequences of what is appended from now on to subjects that
// match; all of them where the filter is empty.
func (b *Bus) Watch(ctx context.Context, stream, filter string) (seen <-chan uint64, stop func(), err error) {
	return b.consume(ctx, stream, filter, jetstream.DeliverNewPolicy)
}

func (b *Bus) ordered(ctx context.Context, stream, filter string) (<-chan uint64, func(), error) {
	return b.consume(ctx, stream, filter, jetstream.DeliverAllPolicy)
}

// channelSize lets the reader be waited for as rarely as the client's own buffer.
const channelSize = 4096

func (b *Bus) consume(ctx context.Context, stream, filter string, from jetstream.DeliverPolicy) (<-chan uint64, func(), error) {
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: from}
	if filter != "" {
		config.FilterSubjects = []string{filter}
	}
	consumer, err := b.js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return nil, nil, fmt.Errorf("make an ordered consumer of %s: %w", stream, err)
	}
	seen := make(chan uint64, channelSize)
	done := make(chan struct{})
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			return // not the server's
		}
		select {
		case seen <- meta.Sequence.Stream:
		case <-done:
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("consume %s: %w", stream, err)
	}
	return seen, func() { close(done); consuming.Stop() }, nil
}
