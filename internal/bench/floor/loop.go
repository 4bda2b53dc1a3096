package floor

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Loop is the bare shape of the whole loop: a fact is published, somebody
// consumes it and answers with an atomic batch whose first message is fenced on
// its subject, and somebody consumes that.
type Loop struct {
	bus    *Bus
	stream string
	shape  Shape
	stop   []func()

	answered chan error // what stopped the one who answers
	seen     <-chan uint64
}

// Shape is what the messages of a loop look like.
type Shape struct {
	// Fact is one fact, Plan what the batch of its answer begins with and Action
	// what follows.
	Fact, Plan, Action events.Message
}

// Loop starts a loop on a stream of its own, which must exist.
func (b *Bus) Loop(ctx context.Context, stream string, shape Shape) (*Loop, error) {
	l := &Loop{bus: b, stream: stream, shape: shape, answered: make(chan error, 1)}
	facts, stop, err := b.Watch(ctx, stream, stream+".fact")
	if err != nil {
		return nil, err
	}
	l.stop = append(l.stop, stop)
	l.seen, stop, err = b.Watch(ctx, stream, stream+".action")
	if err != nil {
		l.Close()
		return nil, err
	}
	l.stop = append(l.stop, stop)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	l.stop = append(l.stop, func() { cancel(); <-done })
	go func() {
		defer close(done)
		l.answered <- l.answer(ctx, facts)
	}()
	return l, nil
}

// Close stops the loop; the stream stays.
func (l *Loop) Close() {
	for _, stop := range l.stop {
		stop()
	}
}

// answer publishes as many actions as facts have come, each time in one batch.
func (l *Loop) answer(ctx context.Context, facts <-chan uint64) error {
	var last uint64 // of the plans
	for {
		n := 0
		select {
		case <-facts:
			n = 1 + drain(facts, maxActions-1)
		case <-ctx.Done():
			return nil
		}
		sequence, err := l.batch(ctx, last, n)
		if err != nil {
			return err
		}
		last = sequence - uint64(n)
	}
}

// maxActions and the plan in front of them fill a batch.
const maxActions = 999

func drain(facts <-chan uint64, most int) (n int) {
	for n < most {
		select {
		case <-facts:
			n++
		default:
			return n
		}
	}
	return n
}

func (l *Loop) batch(ctx context.Context, last uint64, actions int) (uint64, error) {
	batch := make([]*nats.Msg, 1, actions+1)
	batch[0] = message(l.stream+".plan", l.shape.Plan)
	batch[0].Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprint(last))
	for range actions {
		batch = append(batch, message(l.stream+".action", l.shape.Action))
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, l.bus.js, batch, jetstreamext.BatchFlowControl{})
	if err != nil {
		return 0, fmt.Errorf("publish a bare batch: %w", err)
	}
	return ack.Sequence, nil
}

// Round publishes n facts, one by itself and several as one batch, and returns
// when as many actions were seen.
func (l *Loop) Round(ctx context.Context, n int) error {
	if err := l.publish(ctx, n); err != nil {
		return err
	}
	for range n {
		select {
		case <-l.seen:
		case err := <-l.answered:
			return errors.Join(errors.New("the bare loop has stopped"), err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (l *Loop) publish(ctx context.Context, n int) error {
	facts := make([]*nats.Msg, n)
	for i := range facts {
		facts[i] = message(l.stream+".fact", l.shape.Fact)
	}
	var err error
	if n == 1 {
		_, err = l.bus.js.PublishMsg(ctx, facts[0])
	} else {
		_, err = jetstreamext.PublishMsgBatch(ctx, l.bus.js, facts, jetstreamext.BatchFlowControl{})
	}
	if err != nil {
		return fmt.Errorf("publish bare facts: %w", err)
	}
	return nil
}
