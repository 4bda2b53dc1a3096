package plannercmd

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/buslog"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/refusals"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// busLogFlags name what the NATS server writes.
type busLogFlags struct{ files []string }

func (f *busLogFlags) addTo(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.files, "bus-log", nil, "log `FILE` of a NATS server, to put onto the fleet's log whom it refused; may be given more than once. Of several planners one is to read a file, or it is told twice. 'fleetfold nats config --server-log-dir' has the server write one")
}

// check wants a folder that is there: the file itself may come with the server.
func (f *busLogFlags) check() error {
	for _, file := range f.files {
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return cli.Usagef("--bus-log %s: %s is no folder", file, filepath.Dir(file))
		}
	}
	return nil
}

// hearBus records what the server refuses until ctx ends, as its streams do for
// headers and, with files, as its log says. The view must not run yet.
func (w work) hearBus(bus *eventlog.Bus, v *view.View) (func(context.Context) error, error) {
	recorder, err := refusals.New(refusals.Config{Log: bus.Log(), View: v, Source: events.SourcePlanner, Logger: w.logger})
	if err != nil {
		return nil, err
	}
	v.OnRecord(func(r eventlog.Record, _ projection.Change) { recorder.OnRecord(r) })
	return func(ctx context.Context) error {
		stop, err := bus.WatchHeaders(ctx, func(id fleet.NodeID, err error) {
			w.metrics.RefusedOnBus(fleet.ReasonOf(err), 1)
			recorder.Add(events.RefusedBus, id, err)
		})
		if err != nil {
			return err
		}
		defer stop()
		tally := new(buslog.Tally)
		var g errgroup.Group
		for _, path := range w.busLogs.files {
			g.Go(func() error { return buslog.File{Path: path, Tell: tally.Add, Trouble: w.busLogTrouble(path)}.Run(ctx) })
		}
		g.Go(func() error {
			recorder.HearBus(ctx, tally, func(d buslog.Refused) { w.metrics.RefusedOnBus(d.Reason, d.Count) })
			return nil
		})
		g.Go(func() error { recorder.Run(ctx); return nil })
		return g.Wait()
	}, nil
}

func (w work) busLogTrouble(path string) func(error) {
	return func(err error) {
		if err != nil {
			w.logger.Warn().Err(err).Str(field.Path, path).Msg("cannot read the log of the NATS server: what it refuses is not recorded")
			return
		}
		w.logger.Info().Str(field.Path, path).Msg("reading the log of the NATS server again")
	}
}
