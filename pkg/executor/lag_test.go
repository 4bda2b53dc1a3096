package executor_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// lagging is a log whose reader gets so much, and the rest once it is let.
type lagging struct {
	eventlog.Log
	upTo uint64
	rest chan struct{}
}

func (l *lagging) Follow(ctx context.Context, after uint64) (eventlog.Cursor, error) {
	c, err := l.Log.Follow(ctx, after)
	return &laggingCursor{Cursor: c, log: l}, err
}

type laggingCursor struct {
	eventlog.Cursor
	log  *lagging
	read uint64
	kept []eventlog.Record
}

func (c *laggingCursor) Next(ctx context.Context) ([]eventlog.Record, error) {
	if c.read < c.log.upTo {
		records, err := c.Cursor.Next(ctx)
		now := min(uint64(len(records)), c.log.upTo-c.read)
		c.read, c.kept = c.read+now, records[now:]
		return records[:now], err
	}
	select {
	case <-c.log.rest:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if kept := c.kept; len(kept) > 0 {
		c.kept = nil
		return kept, nil
	}
	return c.Cursor.Next(ctx)
}

// caughtUp lets the view read on when somebody asks for the end of the log.
type caughtUp struct {
	*view.View
	let func()
}

func (v caughtUp) CatchUp(ctx context.Context) error {
	v.let()
	return v.View.CatchUp(ctx)
}

func TestAnActionIsDecidedOnTheEndOfTheLog(t *testing.T) {
	story(t, func(s *shop) {
		s.handle(fleet.EnrollNode, func(context.Context, executor.Task) (executor.Result, error) { return executor.Result{}, nil })
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		seen, err := s.log.Last(s.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.want(false) // nobody asks for it any more, and the view has not heard

		log := &lagging{Log: s.log, upTo: seen, rest: make(chan struct{})}
		v := view.New(log)
		ctx, cancel := context.WithCancel(s.Context())
		var viewing sync.WaitGroup
		viewing.Go(func() { _ = v.Run(ctx) })
		s.config.View = caughtUp{v, sync.OnceFunc(func() { close(log.rest) })}
		s.open()
		s.check("outcomes", s.outcomes(), "[p1-1 refused: the inventory does not name the node]")
		s.halt()
		cancel()
		viewing.Wait()
	})
}

// A delivery may come before the fold knows of its plan, and so of its phases.
func TestNothingStartsBeforeItIsFolded(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.handle(fleet.DecommissionNode, r.Handle)
		s.want(false, "a")
		s.appear("old")
		seen, err := s.log.Last(s.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.publish("p1", enroll("a"), remove("old"))

		log := &lagging{Log: s.log, upTo: seen, rest: make(chan struct{})}
		v := view.New(log)
		ctx, cancel := context.WithCancel(s.Context())
		var viewing sync.WaitGroup
		viewing.Go(func() { _ = v.Run(ctx) })
		read := sync.OnceFunc(func() { close(log.rest) })
		s.config.View = caughtUp{v, read}
		s.open()
		s.check("before the plan is folded", r.order(), "[]")
		read()
		synctest.Wait()
		s.check("when it is", r.order(), "[p1-1]")
		s.halt()
		cancel()
		viewing.Wait()
	})
}
