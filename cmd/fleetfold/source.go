package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/audit"
)

// sourceFlags say which history a command reads.
type sourceFlags struct {
	nats cli.NATSFlags
	from string
}

func (f *sourceFlags) addTo(flags *pflag.FlagSet) {
	f.nats.AddTo(flags)
	flags.StringVar(&f.from, "from", "", "`FILE` that 'fleetfold export' wrote, or - for standard input; no server is asked then")
}

// recorded is a history that was opened.
type recorded struct {
	audit.Source
	// end is its last sequence, where that is known before it is read; else 0.
	end   uint64
	close func()
}

// open reads nothing but where the history begins, or ends.
func (f *sourceFlags) open(ctx context.Context, cmd *cobra.Command) (*recorded, error) {
	if f.from != "" {
		return openExport(cmd, f.from)
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
	return &recorded{live, live.End(), bus.Close}, nil
}

func openExport(cmd *cobra.Command, name string) (*recorded, error) {
	var file *archive.File
	var err error
	if name == stdin {
		file, err = archive.Spool(cmd.InOrStdin(), archive.Options{})
	} else {
		file, err = archive.Open(name, archive.Options{})
	}
	if err != nil {
		return nil, cli.WithHint(fmt.Errorf("%s: %w", shown(name), err), "name a file that 'fleetfold export' wrote")
	}
	if after := file.Header().After; after > 0 {
		return nil, cli.WithHint(errors.Join(fmt.Errorf("%s: it begins behind sequence %d, and a history is folded from its first record", shown(name), after), file.Close()),
			"put the parts together: cat FIRST NEXT... > whole.jsonl")
	}
	return &recorded{file, 0, func() { _ = file.Close() }}, nil // it was only read
}
