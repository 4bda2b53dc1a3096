package executor_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// hand is a source whose deliveries the story hands out itself.
type hand struct {
	out   chan eventlog.Delivery
	acked atomic.Int32
}

func (h *hand) Next(ctx context.Context) (eventlog.Delivery, error) {
	select {
	case d, ok := <-h.out:
		if !ok {
			return d, errors.New("consumer is gone")
		}
		return d, nil
	case <-ctx.Done():
		return eventlog.Delivery{}, ctx.Err()
	}
}

func (h *hand) deliver(r eventlog.Record) {
	h.out <- h.delivery(r)
	synctest.Wait()
}

func (h *hand) delivery(r eventlog.Record) eventlog.Delivery {
	return eventlog.Delivery{
		Record:     r,
		Ack:        func(context.Context) error { h.acked.Add(1); return nil },
		InProgress: func() error { return errors.New("connection closed") },
		Retry:      func(time.Duration) error { return nil },
	}
}

// by runs an executor on a hand until the story's end.
func (s *shop) by(h *hand) (ended <-chan error) {
	s.config.Actions = h
	e, err := executor.New(s.config)
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	s.Cleanup(cancel)
	done := make(chan error, 1)
	s.stop, s.done = cancel, done
	go func() { done <- e.Run(ctx) }()
	synctest.Wait()
	return done
}

func (s *shop) record(seq uint64) eventlog.Record {
	records, err := s.log.Read(s.Context(), seq-1, 1)
	if err != nil {
		s.Fatal(err)
	}
	return records[0]
}

func TestADeliveryThatComesAgainDoesNotRunAgain(t *testing.T) {
	story(t, func(s *shop) {
		r, h := newRuns(), &hand{out: make(chan eventlog.Delivery)}
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.by(h)
		h.deliver(s.record(3))
		h.deliver(s.record(3))
		s.check("runs", r.order(), "[p1-1]")
		r.end("p1-1", nil)
		s.check("acknowledged", h.acked.Load(), 1)
		h.deliver(s.record(3))
		s.check("runs", r.order(), "[p1-1]")
		s.check("acknowledged", h.acked.Load(), 2)
	})
}

func TestWhatNobodyCanCarryOutIsParkedAndTheRestGoesOn(t *testing.T) {
	story(t, func(s *shop) {
		r, h := newRuns(), &hand{out: make(chan eventlog.Delivery)}
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.by(h)
		h.deliver(eventlog.Record{Sequence: 90, Err: errors.New("unknown_type: dance-node")})
		h.deliver(eventlog.Record{Sequence: 91, Event: fact(events.TypeNodeLeft, "a", &events.NodeLeft{Epoch: 1})})
		h.deliver(eventlog.Record{Sequence: 92, Event: fact(events.TypeEnrollNode, "a", &events.ActionRequested{Type: fleet.IssueCredential})})
		stranger := fact(events.TypeEnrollNode, "a", &events.ActionRequested{Type: fleet.EnrollNode, ID: "a", Action: "who"})
		h.deliver(eventlog.Record{Sequence: 1, Event: stranger})
		s.check("acknowledged", h.acked.Load(), 4)
		for _, o := range s.ended {
			s.check("kind", o.Kind, executor.KindParked)
		}
		h.deliver(s.record(3))
		s.check("runs", r.order(), "[p1-1]")
	})
}

func TestLaterDeliveriesHeldStartInTheOrderOfTheLog(t *testing.T) {
	story(t, func(s *shop) {
		r, h := newRuns(), &hand{out: make(chan eventlog.Delivery)}
		s.handle(fleet.EnrollNode, r.Handle)
		s.config.Concurrency = 1
		s.want(false, "a", "b", "c")
		s.publish("p1", enroll("a"), enroll("b"), enroll("c"))
		s.by(h)
		h.deliver(s.record(3))
		h.deliver(s.record(5))
		h.deliver(s.record(4))
		r.end("p1-1", nil)
		r.end("p1-2", nil)
		s.check("runs", r.order(), "[p1-1 p1-2 p1-3]")
	})
}

func TestASourceThatIsGoneEndsRun(t *testing.T) {
	story(t, func(s *shop) {
		h := &hand{out: make(chan eventlog.Delivery)}
		ended := s.by(h)
		close(h.out)
		if err := <-ended; err == nil {
			t.Error("no error")
		}
		s.stop = nil
	})
}

func TestAnInventoryThatCannotBeHadGivesTheActionBack(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		for digest, inv := range s.inventories {
			delete(s.inventories, digest)
			time.AfterFunc(1500*time.Millisecond, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.inventories[digest] = inv
			})
		}
		s.publish("p1", enroll("a"))
		s.open()
		s.check("runs", r.order(), "[]")
		s.check("ended", s.ended[0].Kind, executor.KindGivenBack)
		time.Sleep(3 * time.Second) // fake time
		synctest.Wait()
		s.check("runs", r.order(), "[p1-1]")
	})
}
