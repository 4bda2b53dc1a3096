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
	// hearing watches where the stream sources from; nil where it does not.
	hearing *hearing

	ctx   context.Context // ends at Close
	close context.CancelFunc
	mu    sync.Mutex // held by Next; Close waits for it

	pull     *pull
	consumer string
	// back is closed when the connection that the consumer was made on is
	// replaced.
	back <-chan struct{}
	// next is the consumer's own count of the message to come: a gap in it
	// means that a message was lost on its way to us.
	next uint64
	// seen is the last sequence of the stream that needs no more looking for.
	seen uint64
	// target is the stream's last sequence when the consumer was made.
	target   uint64
	behind   int // times in a row that nothing came although something is stored
	failures int
	blind    int       // times in a row that the watchdog got no answer
	made     time.Time // when the stream was that was last read
	caughtUp bool      // everything that was stored at the start has been returned
	reported bool
}

func (b *Bus) newTail(ctx context.Context, stream, filter string, from jetstream.DeliverPolicy) (*tail, error) {
	t := &tail{bus: b, stream: stream, config: jetstream.ConsumerConfig{
		FilterSubject: filter, DeliverPolicy: from,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: tailInactive,
	}}
	if stream == b.presenceStream() {
		t.hearing = &hearing{bus: b, stream: stream, source: b.ingestStream()}
	}
	t.ctx, t.close = context.WithCancel(context.Background())
	if err := b.whenSettled(ctx, t.first); err != nil && !errors.Is(err, errDeaf) {
		t.close()
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return t, nil
}

// first is the first start. A stream that was just made hears its source a moment
// later, and nobody should have to take that for blindness.
func (t *tail) first(ctx context.Context) error {
	patience := time.NewTimer(hearingSoon)
	defer patience.Stop()
	for {
		err := t.start(ctx)
		if !errors.Is(err, errDeaf) {
			return err
		}
		again := time.NewTimer(readPause)
		select {
		case <-again.C:
		case <-patience.C:
			again.Stop()
			return err
		case <-ctx.Done():
			again.Stop()
			return context.Cause(ctx)
		}
	}
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
	if t.pull != nil && t.replaced() {
		t.reset()
		return nil, nil // so that the reader hears of it before anything else
	}
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

// replaced says that there was an outage since the consumer was made. What is
// stored then tells how it is now, and nothing of what was while nobody could
// listen: leases have ended for want of a server. So it is read from the start,
// as after a start of our own.
func (t *tail) replaced() bool {
	select {
	case <-t.back:
		return true
	default:
		return false
	}
}

// startAgain makes a consumer, after a while if the last one failed.
func (t *tail) startAgain(ctx context.Context) error {
	if t.failures > 0 {
		if err := t.bus.pause(ctx, t.failures); err != nil {
			return err
		}
	}
	if err := t.start(ctx); err != nil {
		if !errors.Is(err, errDeaf) || t.failures == deafTold {
			t.bus.complain("cannot read "+t.stream, err)
		}
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
	// An answer may never come: who was asked may have been lost meanwhile.
	ctx, cancel := question(ctx)
	defer cancel()
	// Before the consumer: a connection that is lost meanwhile must show.
	connection, back := t.bus.present(), t.bus.nextReconnect()
	s, err := t.bus.memoryStream(ctx, t.stream)
	if err != nil {
		return err
	}
	if t.hearing != nil {
		if err := t.hearing.check(ctx, s); err != nil {
			return err
		}
	}
	c, err := s.CreateConsumer(ctx, t.begin(s.CachedInfo()))
	if err != nil {
		return fmt.Errorf("create consumer: %w", plain(err))
	}
	info := c.CachedInfo()
	p, err := t.bus.newPull(t.stream, info.Name, tailBatch)
	if err != nil {
		return err
	}
	p.lost = connection.Done() // who cannot hear must not be taken for one who hears nothing
	t.pull, t.consumer, t.next, t.behind, t.blind, t.back = p, info.Name, 1, 0, 0, back
	t.target, t.made = s.CachedInfo().State.LastSeq, s.CachedInfo().Created
	// What was asked for anew and does not come cannot be had: without this a
	// message that is deleted while we ask would make us ask for ever.
	t.seen = t.target
	t.caughtUp = info.NumPending == 0
	return nil
}

// begin says where to read from. Who reads leases anew begins behind what was
// read before: while we were away nodes may have been unable to renew them, and
// of a node whose lease then ends nothing is known but that it was there.
func (t *tail) begin(s *jetstream.StreamInfo) jetstream.ConsumerConfig {
	c := t.config
	if t.hearing != nil && s.Created.Equal(t.made) && s.State.LastSeq >= t.seen {
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, t.seen+1
	}
	return c
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
// when the consumer is gone, when the stream has lost what we have seen, when it
// hears nothing, or when something new is stored and has twice not come.
func (t *tail) check(ctx context.Context) error {
	once, cancel := question(ctx)
	defer cancel()
	if err := t.look(once); err != nil {
		return t.unsure(ctx, err)
	}
	return nil
}

func (t *tail) look(ctx context.Context) error {
	c, err := t.bus.js.Consumer(ctx, t.stream, t.consumer)
	if err != nil {
		return err
	}
	s, err := t.bus.js.Stream(ctx, t.stream)
	if err != nil {
		return err
	}
	t.failures, t.blind = 0, 0
	if t.hearing != nil && t.hearing.check(ctx, s) != nil {
		t.reset()
		return nil
	}
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
		return err
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

// unsure handles an error of the watchdog's own questions. A consumer is on one
// server; where that is lost, asking again would only be answered once it is back.
func (t *tail) unsure(ctx context.Context, err error) error {
	if t.blind++; gone(err) || t.blind > 1 {
		t.blind = 0
		t.reset()
		return nil
	}
	t.failures++
	return t.bus.pause(ctx, t.failures)
}
