// Package snapshots is how a command folds the log of a bus: from the newest
// snapshot on that is of use, and without one from its beginning. Every view over
// a bus is made here, so that none forgets it.
package snapshots

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// View is the fold of a service. The log says with what it began, and warns of
// each snapshot that is of no use.
func View(bus *eventlog.Bus, logger zerolog.Logger) *view.View {
	return view.Resume(bus.Log(), func(ctx context.Context) (*snapshot.Snapshot, error) {
		began := time.Now()
		s, end, err := snapshot.Newest(ctx, bus.Log(), bus, func(k snapshot.Skipped) {
			logger.Warn().Str(field.Snapshot, k.Name).Str(field.Reason, string(k.Reason)).Err(k.Err).Msg("snapshot ignored")
		})
		switch {
		case err != nil:
			return nil, err
		case s == nil:
			logger.Info().Uint64(field.Tail, end).Msg("folding the log from its beginning")
		default:
			logger.Info().Uint64(field.Seq, s.Mark.Sequence).Uint64(field.Tail, end-s.Mark.Sequence).Stringer(field.Digest, s.Hash).
				Dur(field.Duration, time.Since(began)).Msg("folding on from a snapshot")
		}
		return s, nil
	})
}

// ForCommand is the fold of a command that a person runs: they are told on
// standard error of snapshots that are of no use, and of nothing else.
func ForCommand(bus *eventlog.Bus, stderr io.Writer) *view.View {
	return view.Resume(bus.Log(), func(ctx context.Context) (*snapshot.Snapshot, error) {
		s, _, err := snapshot.Newest(ctx, bus.Log(), bus, func(k snapshot.Skipped) {
			fmt.Fprintf(stderr, "warning: snapshot ignored (%s): %v\n", k.Reason, k.Err)
		})
		return s, err
	})
}

// Whole is the fold from the beginning, for whoever checks the log itself.
func Whole(log eventlog.Log) *view.View { return view.New(log) }

// Flags say how often a service saves.
type Flags struct{ Every uint64 }

// AddTo adds --snapshot-every.
func (f *Flags) AddTo(fs *pflag.FlagSet) {
	fs.Uint64Var(&f.Every, "snapshot-every", snapshot.DefaultEvery, "save a snapshot of the fold each `N` records of the log, for a quick start; 0 means never")
}

// Saver saves the view to the bus; metrics may be nil.
func Saver(bus *eventlog.Bus, v *view.View, every uint64, metrics *snapshot.Metrics, logger zerolog.Logger) *snapshot.Saver {
	return &snapshot.Saver{Fold: v, Store: bus, Every: every, Metrics: metrics, Logger: logger}
}

// finishTime is how long a snapshot at the end may take: well below the time
// after which whoever stops services kills them.
const finishTime = 15 * time.Second

// Finish saves what is new at the end of a service, if the server is there. ctx
// may have ended: its values alone are used.
func Finish(ctx context.Context, bus *eventlog.Bus, s *snapshot.Saver) {
	if !bus.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	s.Finish(ctx)
}
