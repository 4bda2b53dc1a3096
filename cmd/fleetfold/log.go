package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

type logFlags struct {
	nats   cli.NATSFlags
	output *string
	node   string
	follow bool
}

func newLog() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Print the log: every fact, plan, action and outcome in order",
		Example: `  fleetfold log --node node-1
  fleetfold log --follow -o jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.nats.AddTo(cmd.Flags())
	f.output = addOutput(cmd.Flags(), "output `FORMAT`", "text", "jsonl")
	cmd.Flags().StringVar(&f.node, "node", "", "only what concerns the node with this `ID`")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what is appended, until interrupted")
	return cmd
}

func (f *logFlags) run(cmd *cobra.Command) error {
	var only fleet.NodeID
	if f.node != "" {
		id, err := fleet.ParseNodeID(f.node)
		if err != nil {
			return cli.Usagef("--node %q: %w", f.node, err)
		}
		only = id
	}
	bus, err := connect(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return err
	}
	defer bus.Close()
	print := func(r eventlog.Record) error { return f.print(cmd.OutOrStdout(), r, only) }
	last, err := printHistory(cmd.Context(), bus.Log(), print)
	if err != nil || !f.follow {
		return err
	}
	err = printLive(cmd.Context(), bus.Log(), last, print)
	if errors.Is(err, context.Canceled) {
		return nil // interrupting is how one ends --follow
	}
	return err
}

func (f *logFlags) print(w io.Writer, r eventlog.Record, only fleet.NodeID) error {
	if only != "" && (r.Event == nil || r.Event.Node != only) {
		return nil
	}
	if *f.output == "text" {
		_, err := fmt.Fprintln(w, logline.Text(r))
		return err
	}
	line, err := logline.JSON(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// readPage is how many records are read at a time.
const readPage = 500

func printHistory(ctx context.Context, log eventlog.Log, print func(eventlog.Record) error) (last uint64, err error) {
	for {
		records, err := log.Read(ctx, last, readPage)
		if err != nil {
			return last, fmt.Errorf("read the log after sequence %d: %w", last, err)
		}
		if len(records) == 0 {
			return last, nil
		}
		for _, r := range records {
			if err := print(r); err != nil {
				return last, err
			}
			last = r.Sequence
		}
	}
}

func printLive(ctx context.Context, log eventlog.Log, after uint64, print func(eventlog.Record) error) error {
	cursor, err := log.Follow(ctx, after)
	if err != nil {
		return fmt.Errorf("follow the log after sequence %d: %w", after, err)
	}
	defer cursor.Close()
	for {
		records, err := cursor.Next(ctx)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := print(r); err != nil {
				return err
			}
		}
	}
}
