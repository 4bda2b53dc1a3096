package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// sourceFlags say which history a command folds from its first record.
type sourceFlags struct{ historyFlags }

// recorded is a history that was opened.
type recorded struct {
	audit.Source
	subjects events.Subjects
	// bus of the running fleet whose log it is; nil for an export.
	bus *eventlog.Bus
	// end is its last sequence, where that is known before it is read; else 0.
	end   uint64
	close func()
}

// open reads nothing but where the history begins, or ends.
func (f *sourceFlags) open(ctx context.Context, cmd *cobra.Command) (*recorded, error) {
	if f.from != "" {
		return openWhole(cmd, f.from)
	}
	bus, err := connect(ctx, cmd, &f.nats)
	if err != nil {
		return nil, err
	}
	live, err := audit.NewLive(ctx, bus.Log(), bus.GetInventory)
	if err != nil {
		bus.Close()
		return nil, err
	}
	return &recorded{Source: live, subjects: bus.Subjects(), bus: bus, end: live.End(), close: bus.Close}, nil
}

// openWhole opens an export that begins with the first record.
func openWhole(cmd *cobra.Command, name string) (*recorded, error) {
	file, err := openExport(cmd, name, archive.Options{})
	if err != nil {
		return nil, cli.WithHint(err, "name a file that 'fleetfold export' wrote")
	}
	if after := file.Header().After; after > 0 {
		err := fmt.Errorf("%s begins behind sequence %d, and a history is folded from its first record", shown(name), after)
		return nil, cli.WithHint(errors.Join(err, file.Close()), "put the parts together: cat FIRST NEXT... > whole.jsonl")
	}
	return &recorded{Source: file, subjects: file.Subjects(), close: func() { _ = file.Close() }}, nil // it was only read
}
