// Package announce makes running services known, so that 'fleetfold status' and
// 'nats micro' find them. Nothing depends on it: whoever is not announced works
// all the same.
package announce

import (
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Planner makes a planner known until stop is called.
func Planner(bus *eventlog.Bus, v *view.View, p *planner.Planner, logger zerolog.Logger) (stop func()) {
	return service(bus, eventlog.PlannerService, logger, func() eventlog.ServiceReport {
		r := folded(v)
		r.Plans, r.Fleet = p.Published(), p.Found()
		return r
	})
}

// Executor makes an executor known until stop is called, also before it has an
// inventory to begin with; running counts its actions.
func Executor(bus *eventlog.Bus, v *view.View, running *atomic.Int64, logger zerolog.Logger) (stop func()) {
	return service(bus, eventlog.ExecutorService, logger, func() eventlog.ServiceReport {
		r := folded(v)
		r.Running = int(running.Load())
		return r
	})
}

func folded(v *view.View) (r eventlog.ServiceReport) {
	v.Read(func(st *projection.State) { r.Sequence = st.Sequence() })
	r.CaughtUp = v.CaughtUp()
	return r
}

func service(bus *eventlog.Bus, kind eventlog.ServiceKind, logger zerolog.Logger, report func() eventlog.ServiceReport) func() {
	stop, err := bus.Announce(kind, cli.Version(), report)
	if err != nil {
		logger.Warn().Err(err).Msg("status will not show this service")
		return func() {}
	}
	return stop
}
