package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// pollPause is between two questions of a cursor that follows by asking.
	pollPause = 250 * time.Millisecond
	// replicaLag is how long a replica may be behind what another one told.
	replicaLag = time.Second
)

// pollCursor follows the log without a consumer.
type pollCursor struct {
	log       *streamLog
	after     uint64
	confirmed watermark
	behind    time.Time // since when the log seems to end before after
	failures  int       // in a row
	closing   sync.Once
	closed    chan struct{}
}

func (l *streamLog) poll(ctx context.Context, after uint64) (Cursor, error) {
	c := &pollCursor{log: l, after: after, closed: make(chan struct{})}
	for {
		last, err := l.Last(ctx)
		if err == nil {
			err = c.check(last)
		}
		if err != nil {
			return nil, fmt.Errorf("follow log: %w", err)
		}
		if c.behind.IsZero() {
			return c, nil
		}
		if err := wait(ctx, readPause); err != nil {
			return nil, fmt.Errorf("follow log: %w", err)
		}
	}
}

func (c *pollCursor) Confirmed() time.Time { return c.confirmed.get() }

func (c *pollCursor) Close() { c.closing.Do(func() { close(c.closed) }) }

func (c *pollCursor) Next(ctx context.Context) ([]Record, error) {
	for {
		records, err := c.ask(ctx)
		switch {
		case err == nil && len(records) > 0:
			c.after = records[len(records)-1].Sequence
			c.confirmed.set(time.Now())
			return records, nil
		case err == nil:
			c.failures = 0
			err = c.rest(ctx)
		case errors.Is(err, ErrGap), errors.Is(err, errCursorClosed), ctx.Err() != nil:
		default:
			c.log.bus.complain("cannot read the log", err)
			c.failures++
			err = c.log.bus.pauseUnless(ctx, c.failures, c.closed)
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("follow log: %w", context.Cause(ctx))
		}
		if err != nil {
			return nil, fmt.Errorf("follow log: %w", err)
		}
	}
}

func (c *pollCursor) ask(ctx context.Context) ([]Record, error) {
	select {
	case <-c.closed:
		return nil, errCursorClosed
	default:
	}
	last, err := c.log.Last(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.check(last); err != nil || last <= c.after {
		return nil, err
	}
	return c.log.Read(ctx, c.after, maxNext)
}

// check compares the cursor's place with the end of the log.
func (c *pollCursor) check(last uint64) error {
	switch {
	case last >= c.after:
		c.behind = time.Time{}
		if last == c.after {
			c.confirmed.set(time.Now())
		}
	case c.behind.IsZero():
		c.behind = time.Now()
	case time.Since(c.behind) > replicaLag:
		return fmt.Errorf("%w: it ends at %d, before the %d already read", ErrGap, last, c.after)
	}
	return nil
}

func (c *pollCursor) rest(ctx context.Context) error {
	timer := time.NewTimer(pollPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.closed:
		return errCursorClosed
	case <-c.log.bus.closed:
		return nats.ErrConnectionClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
