package executor_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// trio is an inventory as a person writes it, for a planner reads texts.
const trio = `
trust_domain: fleet.example
quorum: {width: 1}
regions:
  - name: r
    nodes:
      - {id: a, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: b, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: c, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
`

func texts() *view.Inventories {
	return view.NewInventories(func(context.Context, string) ([]byte, error) { return []byte(trio), nil })
}

// still is a stream on which nothing happens, read to its end.
type still struct{ told bool }

func (s *still) Next(ctx context.Context) ([]eventlog.Sighting, bool, error) {
	if !s.told {
		s.told = true
		return nil, true, nil
	}
	<-ctx.Done()
	return nil, true, ctx.Err()
}

type silent struct{}

func (silent) Next(ctx context.Context) ([]eventlog.Statement, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// planned runs tell with a planner that decides on the shop's log.
func (s *shop) planned(tell func()) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	v := view.New(s.log)
	p, err := planner.New(planner.Config{
		Log: s.log, View: v, Sightings: &still{}, Statements: silent{}, Lease: time.Hour, Logger: s.config.Logger,
		Inventories: texts(),
	})
	if err != nil {
		s.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = v.Run(ctx) })
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			s.Errorf("planner ended with %v", err)
		}
	})
	synctest.Wait()
	tell()
	cancel()
	running.Wait()
}

// published counts the actions on the log, by type and node.
func (s *shop) published(a fleet.Action) (n int) {
	s.Helper()
	records, err := s.log.Read(s.Context(), 0, 1000)
	if err != nil {
		s.Fatal(err)
	}
	for _, r := range records {
		if d, ok := r.Event.Data.(*events.ActionRequested); ok && d.Type == a.Type && d.ID == a.ID {
			n++
		}
	}
	return n
}

// What an executor refuses because it is held is not published again while it is
// held, however long that is, and is published again when it is over.
func TestARefusalOfWhatIsHeldIsNotAnsweredByAnotherAttempt(t *testing.T) {
	word := planner.Word{Actor: "kim", At: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	for name, c := range map[string]struct{ hold, free func(*shop) }{
		"paused and resumed": {
			func(s *shop) { s.said(planner.Pause, word) },
			func(s *shop) { s.said(planner.Resume, word) },
		},
		"blind, until one of the lost is back": {
			func(s *shop) { s.lose("b", "c") },
			func(s *shop) { s.appear("b") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				s.config.Inventories = texts()
				digest := inventory.Digest([]byte(trio))
				s.append(fact(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: digest, Generation: 1, Actor: "test"}))
				s.keep("a", "b", "c")
				s.lose("a")
				s.handle(fleet.EnrollNode, func(context.Context, executor.Task) (executor.Result, error) {
					return executor.Result{}, executor.Failed("begun", "")
				})
				s.planned(func() {
					time.Sleep(10 * time.Second) // fake time: a is no longer just lost
					synctest.Wait()
					s.check("published once", s.published(enroll("a")), 1)
					c.hold(s)
					s.open()
					time.Sleep(30 * time.Minute) // fake time
					synctest.Wait()
					s.check("outcomes while held", len(s.outcomes()), 1)
					s.check("reason", s.ended[0].Reason, executor.ReasonHeld)
					s.check("published while held", s.published(enroll("a")), 1)
					c.free(s)
					s.check("published when free", s.published(enroll("a")), 2)
					s.check("outcome when free", s.ended[1].Reason, "begun")
				})
			})
		})
	}
}

// said is a person's word about the whole fleet.
func (s *shop) said(say func(context.Context, eventlog.Log, *view.View, fleet.Target, planner.Word) (bool, error), w planner.Word) {
	s.Helper()
	if changed, err := say(s.Context(), s.log, s.view, everything, w); err != nil || !changed {
		s.Errorf("changed %v, %v", changed, err)
	}
	synctest.Wait()
}
