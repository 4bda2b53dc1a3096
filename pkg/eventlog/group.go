package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Appender is what a Group needs of a Log.
type Appender interface {
	Append(ctx context.Context, entries ...Entry) (last uint64, err error)
}

// Group appends together what several goroutines append at the same time. The
// log waits for the disk once for each batch, so what one batch holds waits once.
// Who comes while nobody else appends waits for nobody.
//
// Append means what Log.Append means: the entries of one call lie next to each
// other, or none is stored; a fence that does not hold stops only the call that
// has it. What is fenced on the whole log is appended by itself.
type Group struct {
	log     Appender
	mu      sync.Mutex
	busy    bool
	waiting []*Queued
}

// NewGroup returns a Group of those who append to log through it.
func NewGroup(log Appender) *Group { return &Group{log: log} }

// Queued is what was given to a Group to be appended.
type Queued struct {
	ctx     context.Context
	entries []Entry
	sent    time.Time
	last    uint64
	err     error
	done    chan struct{}
}

// Append is Log.Append. When ctx ends while others are still waited for, it is
// not known whether the entries were or will be stored.
func (g *Group) Append(ctx context.Context, entries ...Entry) (uint64, error) {
	g.mu.Lock()
	if !g.busy {
		g.busy = true
		g.mu.Unlock()
		defer g.next()
		return g.log.Append(ctx, entries...)
	}
	q := g.queue(ctx, entries)
	g.mu.Unlock()
	return q.Wait()
}

// Queue begins what Append does. What is queued later stands behind it, unless the
// two are appended together and one by one.
func (g *Group) Queue(ctx context.Context, entries ...Entry) *Queued {
	entries = g.encoded(entries)
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.queue(ctx, entries)
	if !g.busy {
		g.busy = true
		go g.serve(g.take())
	}
	return q
}

// Sent is a time before which nothing was sent. It is for after Wait.
func (q *Queued) Sent() time.Time { return q.sent }

func (g *Group) queue(ctx context.Context, entries []Entry) *Queued {
	q := &Queued{ctx: ctx, entries: entries, done: make(chan struct{})}
	g.waiting = append(g.waiting, q)
	return q
}

// encoded encodes while others are still waited for.
func (g *Group) encoded(entries []Entry) []Entry {
	to, ok := g.log.(interface{ Subjects() events.Subjects })
	if !ok {
		return entries
	}
	ready := slices.Clone(entries)
	for i := range ready {
		if m, err := events.Encode(to.Subjects(), ready[i].Event); err == nil {
			ready[i].encoded = &encoded{message: m}
		} // what does not fit is refused as it is appended
	}
	return ready
}

// Wait returns what Append does.
func (q *Queued) Wait() (uint64, error) {
	select {
	case <-q.done:
		return q.last, q.err
	case <-q.ctx.Done():
		return 0, fmt.Errorf("append to log: not known whether it was stored: %w", context.Cause(q.ctx))
	}
}

// next lets those append who have waited, while nobody waits for them.
func (g *Group) next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.busy = false
		return
	}
	go g.serve(g.take())
}

func (g *Group) serve(some []*Queued) {
	defer g.next()
	g.append(some)
	for _, m := range some {
		close(m.done)
	}
}

// take takes those who can share a batch, in the order in which they came.
func (g *Group) take() []*Queued {
	size, n := 0, 0
	for _, m := range g.waiting {
		if n > 0 && (size+len(m.entries) > MaxBatch || m.alone() || g.waiting[0].alone()) {
			break
		}
		size += len(m.entries)
		n++
	}
	some := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return some
}

// alone says that a fence allows no others beside it in a batch.
func (q *Queued) alone() bool { return len(q.entries) > 0 && q.entries[0].Fence.kind == fenceLog }

func (g *Group) append(some []*Queued) {
	some = present(some)
	now := time.Now()
	for _, m := range some {
		m.sent = now
	}
	if len(some) >= worthwhile && g.together(some) {
		return
	}
	var each sync.WaitGroup
	for _, m := range some {
		each.Go(func() { m.last, m.err = g.log.Append(m.ctx, m.entries...) })
	}
	each.Wait()
}

// worthwhile is from how many calls on one batch costs less than they do one by
// one: for a batch the server makes a store of its own, for one message it does not.
const worthwhile = 8

// present leaves out those who have gone before anything was sent.
func present(some []*Queued) (there []*Queued) {
	for _, m := range some {
		if m.err = m.ctx.Err(); m.err != nil {
			m.err = fmt.Errorf("append to log: nothing was sent: %w", context.Cause(m.ctx))
			continue
		}
		there = append(there, m)
	}
	return there
}

// together appends the entries of all; false means that nothing was stored, for
// a reason that may be that of one of them.
func (g *Group) together(some []*Queued) bool {
	ctx, stop := whileAnyone(some)
	defer stop()
	var all []Entry
	for _, m := range some {
		all = append(all, m.entries...)
	}
	last, err := g.log.Append(ctx, all...)
	if errors.Is(err, ErrConflict) || errors.Is(err, errUnfit) {
		return false
	}
	for i := len(some) - 1; i >= 0; i-- {
		some[i].last, some[i].err = last, err
		last -= uint64(len(some[i].entries))
	}
	return true
}

// whileAnyone is a context that ends when those of all have ended.
func whileAnyone(some []*Queued) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(some[0].ctx))
	var left atomic.Int64
	left.Store(int64(len(some)))
	stops := make([]func() bool, len(some))
	for i, m := range some {
		stops[i] = context.AfterFunc(m.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
