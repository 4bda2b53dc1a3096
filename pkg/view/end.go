package view

import (
	"context"
	"sync"
)

// end asks where the log ends, on behalf of many at a time: an answer counts for
// everybody who waited before the question was put.
type end struct {
	ask func(context.Context) (uint64, error)

	mu sync.Mutex
	// asking is under way, and next the question to which everybody belongs who
	// has come meanwhile; nil where there is none.
	asking, next *question
}

type question struct {
	done chan struct{} // closed when it is answered
	last uint64
	err  error
}

// get returns the end of the log as it was at some moment after the call began.
func (e *end) get(ctx context.Context) (uint64, error) {
	q := e.join()
	for {
		mine, wait := e.turn(q)
		if mine {
			e.answer(ctx, q)
			return q.last, q.err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		select {
		case <-q.done:
			if q.err != nil { // perhaps for want of the asker's time
				return e.ask(ctx)
			}
			return q.last, nil
		default:
		}
	}
}

// join returns the question that is put next.
func (e *end) join() *question {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.next == nil {
		e.next = &question{done: make(chan struct{})}
	}
	return e.next
}

// turn says whether it is for the caller to put its question now, or else what
// to wait for before asking again.
func (e *end) turn(q *question) (mine bool, wait <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.next != q: // somebody puts it, or has
		return false, q.done
	case e.asking != nil:
		return false, e.asking.done
	}
	e.asking, e.next = q, nil
	return true, nil
}

func (e *end) answer(ctx context.Context, q *question) {
	q.last, q.err = e.ask(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asking = nil
	close(q.done)
}
