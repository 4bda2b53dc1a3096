package floor

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Fill appends n messages to be worked off.
func (b *Bus) Fill(ctx context.Context, stream string, like events.Message, n int) error {
	for n > 0 {
		batch := make([]*nats.Msg, min(n, 1000))
		for i := range batch {
			batch[i] = message(stream+".work", like)
		}
		if _, err := jetstreamext.PublishMsgBatch(ctx, b.js, batch, jetstreamext.BatchFlowControl{}); err != nil {
			return fmt.Errorf("fill %s: %w", stream, err)
		}
		n -= len(batch)
	}
	return nil
}

// Work takes n messages one after the other, publishes an outcome for each on a
// subject of its own that must be empty, waits for the word that it is stored,
// acknowledges the message and waits for the word of that, too. Outcomes stand
// in numbered places from first on.
func (b *Bus) Work(ctx context.Context, stream string, outcome events.Message, first, n int) error {
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: "worker", FilterSubject: stream + ".work", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1, MaxDeliver: -1,
	})
	if err != nil {
		return fmt.Errorf("make a consumer of %s: %w", stream, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return fmt.Errorf("take work from %s: %w", stream, err)
	}
	defer messages.Stop()
	for i := range n {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("take work from %s: %w", stream, err)
		}
		done := message(fmt.Sprint(stream, ".outcome.", first+i), outcome)
		if _, err := b.js.PublishMsg(ctx, done, jetstream.WithExpectLastSequencePerSubject(0)); err != nil {
			return fmt.Errorf("publish a bare outcome: %w", err)
		}
		if err := m.DoubleAck(ctx); err != nil {
			return fmt.Errorf("acknowledge bare work: %w", err)
		}
	}
	return nil
}
