package executor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Whoever loses an action to somebody else while it runs has not ended it.
func TestOneOutcomeForEachActionHoweverManyCarryItOut(t *testing.T) {
	story(t, func(s *shop) {
		s.handle(fleet.EnrollNode, func(ctx context.Context, task executor.Task) (executor.Result, error) {
			other := fact(events.TypeActionFailed, "a", &events.ActionFailed{Type: fleet.EnrollNode, ID: "a", Action: task.Flight.ID, Reason: "other"})
			_, err := s.log.Append(ctx, eventlog.Entry{Event: other})
			return executor.Result{}, err
		})
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.open()
		s.check("outcomes", s.outcomes(), "[p1-1 failed other: ]")
		s.check("ended", s.ended[0].Kind, executor.KindKnown)
	})
}

// What stands on the subject of an outcome and ends no action must not keep the
// outcome from the log.
func TestAnOutcomeGoesBehindWhatIsNone(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		s.append(fact(events.TypeActionSucceeded, "a", &events.ActionSucceeded{Type: fleet.EnrollNode, ID: "a", Action: "p1-1"}))
		s.publish("p1", enroll("a"))
		s.open()
		r.end("p1-1", nil)
		r.end("p1-1", nil) // decided again behind it
		s.check("outcomes", s.outcomes(), "[p1-1 succeeded p1-1 succeeded]")
		s.check("in flight", len(s.flights()), 0)
	})
}

// tearing is a log that fails after its first append.
type tearing struct {
	executor.Log
	appends int
}

func (l *tearing) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	if l.appends++; l.appends > 1 {
		return 0, errors.New("torn")
	}
	return l.Log.Append(ctx, entries...)
}

func TestFactsAndOutcomeAreStoredAsOne(t *testing.T) {
	story(t, func(s *shop) {
		s.config.Log = &tearing{Log: s.log}
		s.handle(fleet.EnrollNode, func(_ context.Context, task executor.Task) (executor.Result, error) {
			return executor.Result{Closing: []eventlog.Entry{{Event: task.Fact(time.Now(), events.TypeNodeAppeared, appeared())}}}, nil
		})
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.open()
		last, err := s.log.LastOn(s.Context(), s.log.Subjects().Node("a"))
		if err != nil {
			t.Fatal(err)
		}
		s.check("the fact and its outcome are there", []any{last > 0, s.outcomes()}, "[true [p1-1 succeeded]]")
	})
}

func (s *shop) flights() (ids []fleet.ActionID) {
	s.state(func(st *projection.State) {
		for _, f := range st.Ledger().Flights() {
			ids = append(ids, f.ID)
		}
	})
	return ids
}
