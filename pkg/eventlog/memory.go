package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

var errCursorClosed = errors.New("cursor is closed")

// Memory is a Log in memory: for tests, simulations and histories read from a
// file. It is safe for use by several goroutines.
type Memory struct {
	subjects events.Subjects
	now      func() time.Time

	mu      sync.Mutex
	records []Record
	last    map[string]uint64
	grown   chan struct{} // closed at the next append
}

// NewMemory is an empty log. now stamps the records; nil means time.Now.
func NewMemory(s events.Subjects, now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{subjects: s, now: now, last: map[string]uint64{}, grown: make(chan struct{})}
}

// Subjects of the fleet whose log this is.
func (l *Memory) Subjects() events.Subjects { return l.subjects }

// Append stores all entries, or none.
func (l *Memory) Append(ctx context.Context, entries ...Entry) (uint64, error) {
	messages, err := prepare(l.subjects, entries)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("append to log: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range entries {
		if !l.holds(e.Fence, messages[i].Subject) {
			return 0, fmt.Errorf("append to log: %w", ErrConflict)
		}
	}
	return l.store(messages...), nil
}

// AppendRaw stores a message as it is, as a foreign or an older program might:
// readers see its misfit in Record.Err. It returns the sequence.
func (l *Memory) AppendRaw(_ context.Context, m events.Message) (uint64, error) {
	m.Header, m.Data = maps.Clone(m.Header), slices.Clone(m.Data)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.store(m), nil
}

func (l *Memory) holds(f Fence, subject string) bool {
	switch f.kind {
	case fenceSubject:
		return f.seq == l.last[subject]
	case fenceLog:
		return f.seq == uint64(len(l.records))
	}
	return true
}

func (l *Memory) store(messages ...events.Message) uint64 {
	at := l.now().UTC()
	for _, m := range messages {
		r := Record{Sequence: uint64(len(l.records)) + 1, Time: at, Message: m}
		l.records = append(l.records, record(l.subjects, r))
		l.last[m.Subject] = r.Sequence
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return uint64(len(l.records))
}

// Read returns up to limit records behind after.
func (l *Memory) Read(ctx context.Context, after uint64, limit int) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	records, _ := l.behind(after, limit)
	return records, nil
}

// behind also returns the channel that is closed when there is more.
func (l *Memory) behind(after uint64, limit int) ([]Record, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after >= uint64(len(l.records)) || limit <= 0 {
		return nil, l.grown
	}
	rest := l.records[after:]
	return slices.Clone(rest[:min(limit, len(rest))]), l.grown
}

// Last is the sequence of the newest record.
func (l *Memory) Last(ctx context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.records)), ctx.Err()
}

// LastOn is the newest sequence on subject.
func (l *Memory) LastOn(ctx context.Context, subject string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[subject], ctx.Err()
}

// Follow starts a cursor behind sequence after.
func (l *Memory) Follow(ctx context.Context, after uint64) (Cursor, error) {
	last, err := l.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("follow log: %w", err)
	}
	if after > last {
		return nil, fmt.Errorf("follow log: %w: it ends at %d, before the %d already read", ErrGap, last, after)
	}
	return &memoryCursor{log: l, after: after, closed: make(chan struct{})}, nil
}

type memoryCursor struct {
	log       *Memory
	after     uint64
	confirmed watermark
	closing   sync.Once
	closed    chan struct{}
}

func (c *memoryCursor) Next(ctx context.Context) ([]Record, error) {
	for {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("follow log: %w", context.Cause(ctx))
		}
		records, grown := c.log.behind(c.after, maxNext)
		c.confirmed.set(c.log.now())
		if len(records) > 0 {
			c.after += uint64(len(records))
			return records, nil
		}
		select {
		case <-grown:
		case <-c.closed:
			return nil, fmt.Errorf("follow log: %w", errCursorClosed)
		case <-ctx.Done():
		}
	}
}

func (c *memoryCursor) Confirmed() time.Time { return c.confirmed.get() }
func (c *memoryCursor) Close()               { c.closing.Do(func() { close(c.closed) }) }
