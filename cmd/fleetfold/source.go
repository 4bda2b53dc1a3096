package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/audit"
)

// sourceFlags say which history a command reads.
type sourceFlags struct {
	nats cli.NATSFlags
}

func (f *sourceFlags) addTo(flags *pflag.FlagSet) {
	f.nats.AddTo(flags)
}

// recorded is a history that was opened.
type recorded struct {
	audit.Source
	// end is its last sequence, where that is known before it is read; else 0.
	end   uint64
	close func()
}

// open reads nothing but where the history ends.
func (f *sourceFlags) open(ctx context.Context, cmd *cobra.Command) (*recorded, error) {
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
