package handlers_test

import (
	"errors"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// The flip is decided, something is appended, whatever it is, and the flip is
// stored no more.
func TestTheFlipIsStoredOnlyOnTheLogItWasDecidedOn(t *testing.T) {
	story(t, func(s *shop) {
		s.want(true)
		set, err := handlers.New(s.ctx, s.config)
		if err != nil {
			t.Fatal(err)
		}
		basis, err := s.log.Last(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		result, err := set[fleet.EnableStrictEnforcement].Handle(s.ctx, executor.Task{
			Flight: projection.Flight{ID: "flip", Action: fleet.Action{Type: fleet.EnableStrictEnforcement}}, Basis: basis, Generation: 1,
		})
		if err != nil || len(result.Closing) != 1 {
			t.Fatal(result, err)
		}
		s.append(events.TypeNodeLost, "stranger", &events.NodeLost{Epoch: 1, Reason: "lease_expired"})
		if _, err := s.log.Append(s.ctx, result.Closing...); !errors.Is(err, eventlog.ErrConflict) {
			t.Errorf("stored on another log than it was decided on: %v", err)
		}
	})
}
