// Package service runs what works on a bus until it is told to stop: planner and
// executor.
//
// A service outlives its server, and may be started before it. It waits for a
// server that is away, says so once, and answers meanwhile: alive at /healthz, not
// ready at /readyz. A mistake in its settings, or credentials that the server
// refuses, end it at once, for waiting would mend neither.
package service

import (
	"context"
	"errors"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/internal/cli/profile"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// Service is a program that works on a bus.
type Service struct {
	// Bus says where the server is. Its Logger is set by Run.
	Bus eventlog.Options
	// Listen is the address for health and metrics; empty means none.
	Listen string
	// Profiles can be had where this says.
	Profiles profile.Flags
	Metrics  obs.Collectors
	Logger   zerolog.Logger
	// Begin is done with each new connection until it works, such as looking for
	// the streams.
	Begin func(context.Context, *eventlog.Bus) error
	// Work works until ctx ends. It opens ready with the check that says whether
	// the service does its work. Until then it may be called again, with another
	// connection, when the server goes away.
	Work func(ctx context.Context, bus *eventlog.Bus, ready *obs.Gate) error
}

// Run waits for the server, and works until ctx ends, when it returns nil, or
// until something cannot go on.
func (s Service) Run(ctx context.Context) error {
	s.Bus.Logger = cli.BusLogger(s.Logger)
	ready := obs.NewGate("waiting for the server")
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if s.Listen != "" {
		g.Go(func() error {
			return obs.Serve(ctx, s.Listen, obs.Checks{Ready: ready.Check}, s.Metrics, s.Logger)
		})
	}
	g.Go(func() error { return s.Profiles.Serve(ctx, s.Logger) })
	g.Go(func() error {
		defer stop()
		return s.work(ctx, ready)
	})
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (s Service) work(ctx context.Context, ready *obs.Gate) error {
	for {
		again, err := s.try(ctx, ready)
		if !again {
			return err
		}
		s.Logger.Warn().Err(err).Msg("the server went away before the work began, waiting for it")
	}
}

// try works on one connection. again says that nothing had begun when it was lost.
func (s Service) try(ctx context.Context, ready *obs.Gate) (again bool, err error) {
	bus, err := eventlog.AwaitServer(ctx, s.Bus, s.Begin, func(err error) {
		s.Logger.Warn().Err(err).Msg("waiting for the server")
	})
	if err != nil {
		return false, err
	}
	defer bus.Close()
	err = s.Work(ctx, bus, ready)
	return err != nil && ctx.Err() == nil && !ready.Opened() && !bus.Connected(), err
}
