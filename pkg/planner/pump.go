package planner

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// Sightings is the stream of leases; eventlog.Bus offers it.
type Sightings interface {
	// Next returns the newest sightings; caughtUp once all leases that ran at
	// the start have been returned.
	Next(ctx context.Context) (seen []eventlog.Sighting, caughtUp bool, err error)
}

// Statements is the stream of what nodes say of their credentials.
type Statements interface {
	Next(ctx context.Context) ([]eventlog.Statement, error)
}

type sighted struct {
	seen     []eventlog.Sighting
	caughtUp bool
}

func pumpSightings(ctx context.Context, s Sightings, out chan<- sighted) error {
	for {
		seen, caughtUp, err := s.Next(ctx)
		if err != nil {
			return fmt.Errorf("read sightings: %w", err)
		}
		select {
		case out <- sighted{seen, caughtUp}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func pumpStatements(ctx context.Context, s Statements, out chan<- []eventlog.Statement) error {
	for {
		heard, err := s.Next(ctx)
		if err != nil {
			return fmt.Errorf("read statements: %w", err)
		}
		select {
		case out <- heard:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
