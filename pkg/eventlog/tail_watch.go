package eventlog

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

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
