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
	// stallAfter is how long a cursor believes silence before it asks the
	// stream whether there really is nothing new.
	stallAfter = 5 * time.Second
	// suspicions is how often in a row a gap must be seen: once may be a
	// message lost on the way, or a new leader that is still catching up.
	suspicions = 2
)

// errSuspect says that something looked like a gap and is looked at again.
var errSuspect = errors.New("looks like a gap")

// streamCursor keeps its own place. Consumers come and go beneath it: any doubt
// is answered by a new one behind the last record returned.
type streamCursor struct {
	log       *streamLog
	after     uint64
	feed      *feed
	asked     time.Time // when the stream last said where it ends, or delivered
	confirmed watermark
	suspected int
	failures  int // in a row, of starting a consumer
	final     error
	closing   sync.Once
	closed    chan struct{}
}

// Follow fails when there is no log to follow now, in a cluster when there has
// been none for half a minute. Later troubles only make Next wait longer.
func (l *streamLog) Follow(ctx context.Context, after uint64) (Cursor, error) {
	if l.bus.options.NoConsumers {
		return l.poll(ctx, after)
	}
	c := &streamCursor{log: l, after: after, closed: make(chan struct{})}
	if err := l.bus.whenSettled(ctx, c.begin); err != nil {
		return nil, fmt.Errorf("follow log: %w", err)
	}
	return c, nil
}

func (c *streamCursor) begin(ctx context.Context) error {
	for {
		err := c.open(ctx)
		if !errors.Is(err, errSuspect) {
			return err
		}
		if err := wait(ctx, readPause); err != nil {
			return err
		}
	}
}

func (c *streamCursor) Confirmed() time.Time { return c.confirmed.get() }

func (c *streamCursor) Close() { c.closing.Do(func() { close(c.closed); c.drop() }) }

func (c *streamCursor) Next(ctx context.Context) ([]Record, error) {
	for c.final == nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("follow log: %w", context.Cause(ctx))
		}
		if c.feed == nil {
			c.reopen(ctx)
			continue
		}
		if records := c.wait(ctx); len(records) > 0 {
			return records, nil
		}
	}
	c.drop()
	return nil, fmt.Errorf("follow log: %w", c.final)
}

// reopen tries once to start a consumer, and waits a little when that fails.
func (c *streamCursor) reopen(ctx context.Context) {
	err := c.open(ctx)
	if err == nil {
		c.failures = 0
		return
	}
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, ErrGap) {
		c.final = err
		return
	}
	c.log.bus.complain("cursor not restored yet", err)
	c.failures++
	if err := c.log.bus.pauseUnless(ctx, c.failures, c.closed); errors.Is(err, nats.ErrConnectionClosed) {
		c.final = err
	}
	select {
	case <-c.closed:
		c.final = errCursorClosed
	default:
	}
}

func (c *streamCursor) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// Before the consumer starts: a connection replaced meanwhile must show.
	back := c.log.bus.nextReconnect()
	state, err := c.log.state(ctx)
	if err != nil {
		return fmt.Errorf("ask for the end of the log: %w", err)
	}
	if err := c.check(state); err != nil {
		return err
	}
	consumer, err := c.log.bus.js.CreateConsumer(ctx, c.log.name, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: c.after + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: 4 * stallAfter,
	})
	if err != nil {
		return fmt.Errorf("start consumer: %w", plain(err))
	}
	c.feed, err = c.log.bus.startFeed(c.log.name, consumer.CachedInfo().Name, back)
	return err
}

// check compares the cursor's place with the stream's first and last sequence.
func (c *streamCursor) check(state jetstream.StreamState) error {
	c.asked = time.Now()
	switch {
	case state.LastSeq < c.after:
		return c.suspect(fmt.Errorf("%w: it ends at %d, before the %d already read", ErrGap, state.LastSeq, c.after))
	case state.LastSeq > c.after && state.FirstSeq > c.after+1:
		return c.suspect(fmt.Errorf("%w: it begins at %d, %d is missing", ErrGap, state.FirstSeq, c.after+1))
	case state.LastSeq == c.after:
		c.suspected = 0
		c.confirmed.set(c.asked)
	}
	return nil
}

// suspect returns gap once it has been seen often enough.
func (c *streamCursor) suspect(gap error) error {
	if c.suspected++; c.suspected >= suspicions {
		return gap
	}
	return fmt.Errorf("%w: %v", errSuspect, gap)
}

// wait returns what the feed has. Without records the caller looks at final and
// feed, and calls again.
func (c *streamCursor) wait(ctx context.Context) []Record {
	timer := time.NewTimer(time.Until(c.asked.Add(c.log.stall)))
	defer timer.Stop()
	select {
	case some := <-c.feed.messages:
		return c.take(ctx, some)
	case err := <-c.feed.broken:
		c.renew("consumer failed", err)
	case <-c.feed.back:
		c.drop()
	case <-timer.C:
		c.audit(ctx)
	case <-c.log.bus.closed:
		c.final = nats.ErrConnectionClosed
	case <-c.closed:
		c.final = errCursorClosed
	case <-ctx.Done():
	}
	return nil
}

// take converts messages that came together. Those from the first on that does
// not follow are read again, by another consumer.
func (c *streamCursor) take(ctx context.Context, some []*nats.Msg) []Record {
	records := make([]Record, 0, len(some))
	for _, m := range some {
		r, err := c.convert(ctx, m)
		if err != nil {
			c.distrust(err)
			break
		}
		c.suspected = 0
		c.after = r.Sequence
		records = append(records, r)
	}
	if len(records) > 0 {
		c.asked = time.Now()
		c.confirmed.set(c.asked)
	}
	return records
}

func (c *streamCursor) convert(ctx context.Context, m *nats.Msg) (Record, error) {
	seq, at, err := placeOf(m)
	if err != nil {
		return Record{}, err
	}
	if seq != c.after+1 {
		return Record{}, c.suspect(fmt.Errorf("%w: sequence %d is missing, %d follows", ErrGap, c.after+1, seq))
	}
	return c.log.record(ctx, seq, at, m.Subject, m.Header, m.Data)
}

// distrust replaces the consumer, or ends the cursor when the gap is certain.
func (c *streamCursor) distrust(err error) {
	if errors.Is(err, ErrGap) {
		c.final = err
		return
	}
	c.renew("consumer replaced", err)
}

// audit asks the stream whether the silence is true.
func (c *streamCursor) audit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	state, err := c.log.state(ctx)
	if err != nil {
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.renew("end of log not known", err)
		}
		return
	}
	if err := c.check(state); err != nil {
		c.distrust(err)
		return
	}
	if state.LastSeq > c.after && len(c.feed.messages) == 0 {
		c.doubt(ctx)
	}
}

// doubt finds out why nothing comes although there should be something: the
// consumer has stalled, or the end of the log is missing.
func (c *streamCursor) doubt(ctx context.Context) {
	if _, err := c.log.fetchAt(ctx, c.after+1); errors.Is(err, errNoMessage) {
		c.distrust(c.suspect(fmt.Errorf("%w: sequence %d is missing, nothing follows", ErrGap, c.after+1)))
		return
	}
	c.renew("consumer stalled", nil)
}

func (c *streamCursor) renew(why string, err error) {
	c.log.bus.complain(why, err)
	c.drop()
}

func (c *streamCursor) drop() {
	if c.feed != nil {
		c.feed.stop()
		c.feed = nil
	}
}
