package plannercmd

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/doctor"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/planner"
)

// checkDurability says at the start how safe the log is. A planner works on a
// weaker one, too: whoever runs it may know why, and must have been told.
func (f *flags) checkDurability(ctx context.Context, bus *eventlog.Bus, metrics *planner.Metrics, logger zerolog.Logger) {
	servers := eventlog.AskMonitors(ctx, f.monitor.URLs)
	found := doctor.Durability(bus.CheckStreams(ctx), servers)
	line := logger.Info()
	switch {
	case found.State == doctor.OK:
		metrics.Durable(true)
	case found.State == doctor.Warn:
		metrics.Durable(false)
		line = logger.Warn()
	case len(servers.Silent) > 0: // somebody wanted to know
		line = logger.Warn()
	}
	line = line.Str(field.State, string(found.State)).Str(field.Why, found.Text)
	if found.Next != "" {
		line = line.Str(field.Advice, found.Next)
	}
	line.Msg("durability checked")
}
