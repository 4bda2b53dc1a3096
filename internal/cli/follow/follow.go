// Package follow runs what a service does on its fold of the log.
//
// A log with a gap cannot be folded, today or after a restart. A service that
// ended with it would be started again by its supervisor, and end again, for
// ever. So it stands still instead: its work is stopped, it says why once, is no
// longer ready, and waits to be told to stop.
package follow

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Gap is a metric that is 1 from when a gap was found.
type Gap struct{ prometheus.Gauge }

// NewGap returns the metric fleetfold_log_gap.
func NewGap() Gap {
	return Gap{prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "fleetfold", Name: "log_gap",
		Help: "1 when a message is missing from the log: nothing is decided or done any more.",
	})}
}

// View is what follows the log; view.View is one.
type View interface{ Run(context.Context) error }

// Run runs the view and the work until ctx ends, when it returns nil, or until
// one of them cannot go on. When the log has a gap it stops the work, and
// returns when ctx ends.
func Run(ctx context.Context, v View, gap Gap, logger zerolog.Logger, work ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	working, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error {
		err := v.Run(ctx)
		if !errors.Is(err, eventlog.ErrGap) {
			return err
		}
		gap.Set(1)
		logger.Error().Err(err).Msg("a message is missing from the log: standing still until the log is whole and this service is started again")
		stop()
		<-ctx.Done()
		return nil
	})
	for _, w := range work {
		g.Go(func() error {
			err := w(working)
			// The view tells of it; and a view that was stopped is the end, of which it
			// may hear a moment before those who work on it.
			if errors.Is(err, eventlog.ErrGap) || errors.Is(err, view.ErrStopped) || ctx.Err() == nil && working.Err() != nil {
				return nil
			}
			return err
		})
	}
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
