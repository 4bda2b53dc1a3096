package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	tailBatch = 500
	// tailInactive is when the server may forget a reader that died.
	tailInactive = time.Minute
)

// tail reads one subject filter of a stream in memory: first what is stored,
// then what comes. A restart of its server takes such a stream away, and it
// counts from 1 again when it is made anew; a consumer may stall or be lost. In
// each of these cases the tail starts over, so what it returns may repeat, but a
// message that is stored and not returned is never passed over in silence.
type tail struct {
	bus    *Bus
	stream string
	config jetstream.ConsumerConfig

	ctx   context.Context // ends at Close
	close context.CancelFunc
	mu    sync.Mutex // held by Next; Close waits for it

	pull     *pull
	consumer string
	// next is the consumer's own count of the message to come: a gap in it
	// means that a message was lost on its way to us.
	next uint64
	// seen is the last sequence of the stream that needs no more looking for.
	seen uint64
	// target is the stream's last sequence when the consumer was made.
	target   uint64
	behind   int // times in a row that nothing came although something is stored
	failures int
	caughtUp bool // everything that was stored at the start has been returned
	reported bool
}

func (b *Bus) newTail(ctx context.Context, stream, filter string, from jetstream.DeliverPolicy) (*tail, error) {
	t := &tail{bus: b, stream: stream, config: jetstream.ConsumerConfig{
		FilterSubject: filter, DeliverPolicy: from,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: tailInactive,
	}}
	t.ctx, t.close = context.WithCancel(context.Background())
	if err := t.start(ctx); err != nil {
		t.close()
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return t, nil
}

// Close ends a Next that is waiting.
func (t *tail) Close() {
	t.close()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reset()
}

// Next returns the messages that have come, at least one unless only caughtUp
// has changed. caughtUp falls back to false when the tail starts over.
func (t *tail) Next(ctx context.Context) (got []*nats.Msg, caughtUp bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		return nil, false, fmt.Errorf("read stream %s: %w", t.stream, errClosed)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(errClosed) })()
	for len(got) == 0 && t.caughtUp == t.reported {
		got, err = t.step(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, false, fmt.Errorf("read stream %s: %w", t.stream, err)
		}
	}
	t.reported = t.caughtUp
	return got, t.caughtUp, nil
}

// step waits once: for messages, for news of the consumer, or before a retry.
func (t *tail) step(ctx context.Context) ([]*nats.Msg, error) {
	if t.pull == nil {
		return nil, t.startAgain(ctx)
	}
	got, err := t.read(ctx)
	switch {
	case len(got) > 0 || err == nil:
		t.behind, t.failures = 0, 0
		return got, nil
	case errors.Is(err, errPullIdle):
		return nil, t.check(ctx)
	case errors.Is(err, errPullGone):
		t.reset()
		t.failures++
		return nil, nil // first it is told, then waited
	}
	return nil, err
}

// startAgain makes a consumer, after a while if the last one failed.
func (t *tail) startAgain(ctx context.Context) error {
	if t.failures > 0 {
		if err := t.bus.pause(ctx, t.failures); err != nil {
			return err
		}
	}
	if err := t.start(ctx); err != nil {
		t.bus.complain("cannot read "+t.stream, err)
		t.failures++
	}
	return nil
}

// read returns one message and those that are here with it. A message out of
// the consumer's count makes the tail start over.
func (t *tail) read(ctx context.Context) (got []*nats.Msg, err error) {
	for len(got) == 0 || len(got) < tailBatch && t.pull.waiting() {
		m, err := t.pull.next(ctx)
		if err != nil {
			return got, err
		}
		meta, err := metadata(m)
		if err != nil {
			return got, err
		}
		if meta.Sequence.Consumer != t.next {
			t.bus.tell("messages were lost on the way, reading "+t.stream+" again", nil)
			t.reset()
			return got, nil
		}
		t.next++
		t.seen = max(t.seen, meta.Sequence.Stream)
		t.caughtUp = t.caughtUp || meta.NumPending == 0 || meta.Sequence.Stream >= t.target
		got = append(got, m)
	}
	return got, nil
}

func (t *tail) start(ctx context.Context) error {
	// Before the consumer: a connection that is lost meanwhile must show.
	connection := t.bus.present()
	s, err := t.bus.memoryStream(ctx, t.stream)
	if err != nil {
		return err
	}
	c, err := s.CreateConsumer(ctx, t.config)
	if err != nil {
		return fmt.Errorf("create consumer: %w", plain(err))
	}
	info := c.CachedInfo()
	p, err := t.bus.newPull(t.stream, info.Name, tailBatch)
	if err != nil {
		return err
	}
	p.lost = connection.Done() // who cannot hear must not be taken for one who hears nothing
	t.pull, t.consumer, t.next, t.behind = p, info.Name, 1, 0
	t.target = s.CachedInfo().State.LastSeq
	// What was asked for anew and does not come cannot be had: without this a
	// message that is deleted while we ask would make us ask for ever.
	t.seen = t.target
	t.caughtUp = info.NumPending == 0
	return nil
}

// memoryStream looks a stream up and makes it again after its server was
// restarted: with one replica, a stream in memory does not outlive its server,
// and nobody could say that a node is there until somebody repairs it. The log
// is left alone: if that is gone, a person has to know.
func (b *Bus) memoryStream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		for _, want := range []jetstream.StreamConfig{b.ingestConfig(), b.presenceConfig()} {
			if _, err := b.ensureStream(ctx, want); err != nil {
				return nil, fmt.Errorf("make stream %s again: %w", want.Name, err)
			}
		}
		s, err = b.js.Stream(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("look up stream: %w", plain(err))
	}
	return s, nil
}

// reset gives the consumer up; the next step makes another.
func (t *tail) reset() {
	if t.pull == nil {
		return
	}
	t.pull.stop(func(*nats.Msg) {})
	t.pull, t.caughtUp = nil, false
	if !t.bus.Connected() {
		return // the server forgets it by itself
	}
	ctx, cancel := context.WithTimeout(context.Background(), pullGrace)
	defer cancel()
	_ = t.bus.js.DeleteConsumer(ctx, t.stream, t.consumer)
}

// check is the watchdog. It runs when nothing came for a while and starts over
// when the consumer is gone, when the stream has lost what we have seen, or
// when something new is stored and has twice not come.
func (t *tail) check(ctx context.Context) error {
	c, err := t.bus.js.Consumer(ctx, t.stream, t.consumer)
	if err != nil {
		return t.unsure(ctx, err)
	}
	s, err := t.bus.js.Stream(ctx, t.stream)
	if err != nil {
		return t.unsure(ctx, err)
	}
	t.failures = 0
	last := s.CachedInfo().State.LastSeq
	if last < t.seen {
		t.bus.tell("stream "+t.stream+" was lost, reading it again", nil)
		t.reset()
		return nil
	}
	if c.CachedInfo().NumPending == 0 && !t.pull.waiting() {
		t.caughtUp = true
	}
	return t.lookBehind(ctx, s, last)
}

func (t *tail) lookBehind(ctx context.Context, s jetstream.Stream, last uint64) error {
	if last == t.seen {
		t.behind = 0
		return nil
	}
	m, err := s.GetLastMsgForSubject(ctx, t.config.FilterSubject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		t.behind = 0
		return nil
	case err != nil:
		return t.unsure(ctx, err)
	case m.Sequence <= t.seen:
		t.behind = 0
		return nil
	}
	if t.behind++; t.behind > 1 {
		t.bus.tell("consumer of "+t.stream+" has stalled, making another", nil)
		t.reset()
	}
	return nil
}

// unsure handles an error of the watchdog's own questions.
func (t *tail) unsure(ctx context.Context, err error) error {
	if gone(err) {
		t.reset()
		return nil
	}
	t.failures++
	return t.bus.pause(ctx, t.failures)
}
