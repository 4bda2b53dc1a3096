package executor_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// asking counts how often the log is asked where it ends.
type asking struct {
	*view.View
	times atomic.Int32
}

func (v *asking) CatchUp(ctx context.Context) error {
	v.times.Add(1)
	return v.View.CatchUp(ctx)
}

func TestTheLogIsAskedUnlessTheFoldWasWholeAMomentAgo(t *testing.T) {
	for does, c := range map[string]struct {
		action fleet.Action
		before func(*shop)
		again  bool
		want   int32
	}{
		"a credential a moment later":             {issue("b"), func(*shop) {}, false, 0},
		"a credential a while later":              {issue("b"), func(*shop) { time.Sleep(11 * time.Millisecond) }, false, 1},
		"a credential that was handed out before": {issue("b"), func(*shop) {}, true, 1},
		"an enrolment":                            {enroll("new"), func(*shop) {}, false, 0},
		"an enrolment of who was lost":            {enroll("gone"), func(s *shop) { s.appear("gone"); s.lose("gone") }, false, 1},
		"a removal":                               {remove("old"), func(*shop) {}, false, 1},
		"the flip":                                {enable, func(s *shop) { s.sign("a"); s.sign("b"); s.sign("keeper") }, false, 1},
	} {
		t.Run(does, func(t *testing.T) {
			story(t, func(s *shop) {
				v := &asking{View: s.view}
				s.config.View = v
				nothing := func(context.Context, executor.Task) (executor.Result, error) { return executor.Result{}, nil }
				for _, a := range []fleet.Action{issue(""), enroll(""), remove(""), enable} {
					s.handle(a.Type, nothing)
				}
				s.want(true, "a", "b", "keeper", "new", "gone")
				s.keep("keeper")
				s.appear("a")
				s.appear("b")
				s.appear("old")
				h := &hand{out: make(chan eventlog.Delivery)}
				s.by(h)
				s.deliverNext(h, "p1", issue("a"), false)
				s.check("the first asks", v.times.Load(), 1)
				c.before(s)
				s.deliverNext(h, "p2", c.action, c.again)
				s.check("the second asks", v.times.Load()-1, c.want)
				s.check("both have ended", len(s.outcomes()), 2)
			})
		})
	}
}

// deliverNext publishes a plan of one action, and hands that out.
func (s *shop) deliverNext(h *hand, plan fleet.PlanID, a fleet.Action, again bool) {
	s.Helper()
	s.publish(plan, a)
	last, err := s.log.Last(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	d := h.delivery(s.record(last))
	d.Again = again
	h.out <- d
	synctest.Wait()
}

// slow is a log whose appends take a second.
type slow struct{ executor.Log }

func (l slow) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	time.Sleep(time.Second) // fake time
	return l.Log.Append(ctx, entries...)
}

func TestASlotIsFreeWhenItsHandlerHasEnded(t *testing.T) {
	for does, c := range map[string]struct {
		concurrency int
		want        string
	}{
		"side by side":        {2, "[p1-1 p1-2 p1-3]"},
		"strictly one by one": {1, "[p1-1]"},
	} {
		t.Run(does, func(t *testing.T) {
			story(t, func(s *shop) {
				r := newRuns()
				s.handle(fleet.EnrollNode, r.Handle)
				s.config.Concurrency, s.config.Log = c.concurrency, slow{s.log}
				s.want(false, "a", "b", "c")
				s.publish("p1", enroll("a"), enroll("b"), enroll("c"))
				s.open()
				r.end("p1-1", nil)
				s.check("stored", s.outcomes(), "[]")
				s.check("begun", r.sorted(), c.want)
				time.Sleep(time.Second)
				synctest.Wait()
				s.check("stored", s.outcomes(), "[p1-1 succeeded]")
			})
		})
	}
}

// What the fold has not seen the end of must not be decided on again.
func TestTheNextActionOfANodeWaitsUntilTheFoldHasSeenTheLast(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.publish("p2", enroll("a"))
		seen, err := s.log.Last(s.Context())
		if err != nil {
			t.Fatal(err)
		}
		log := &lagging{Log: s.log, upTo: seen, rest: make(chan struct{})}
		v := view.New(log)
		ctx, cancel := context.WithCancel(s.Context())
		var viewing sync.WaitGroup
		viewing.Go(func() { _ = v.Run(ctx) })
		s.config.View = v
		s.open()
		r.end("p1-1", nil)
		s.check("stored, and not seen", []any{s.outcomes(), r.order()}, "[[p1-1 succeeded] [p1-1]]")
		close(log.rest)
		synctest.Wait()
		s.check("seen", r.order(), "[p1-1 p2-1]")
		s.halt()
		cancel()
		viewing.Wait()
	})
}

// What was appended shows how far the log goes, and not that the fold is there.
func TestAFoldThatLagsIsNotTakenForWhole(t *testing.T) {
	story(t, func(s *shop) {
		s.handle(fleet.EnrollNode, func(context.Context, executor.Task) (executor.Result, error) {
			time.Sleep(9 * time.Millisecond) // fake time
			return executor.Result{}, nil
		})
		s.want(false, "a", "b")
		s.publish("p1", enroll("a"), enroll("b"))
		seen, err := s.log.Last(s.Context())
		if err != nil {
			t.Fatal(err)
		}
		log := &lagging{Log: s.log, upTo: seen, rest: make(chan struct{})}
		v := &asking{View: view.New(log)}
		ctx, cancel := context.WithCancel(s.Context())
		var viewing sync.WaitGroup
		viewing.Go(func() { _ = v.Run(ctx) })
		synctest.Wait()
		s.config.View = v
		h := &hand{out: make(chan eventlog.Delivery)}
		s.by(h)
		h.deliver(s.record(seen - 1))
		time.Sleep(12 * time.Millisecond)
		s.check("stored", s.outcomes(), "[p1-1 succeeded]")
		h.deliver(s.record(seen))
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		s.check("the second waits", []any{s.outcomes(), v.times.Load()}, "[[p1-1 succeeded] 2]")
		close(log.rest)
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		s.check("and runs on the end of the log", s.outcomes(), "[p1-1 succeeded p1-2 succeeded]")
		s.halt()
		cancel()
		viewing.Wait()
	})
}
