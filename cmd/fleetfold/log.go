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
	w := cmd.OutOrStdout()
	found := false
	var columns logline.Columns
	print := func(records []eventlog.Record) error {
		records = concerning(records, only)
		found = found || len(records) > 0
		columns.See(records)
		return f.print(w, records, &columns)
	}
	last, err := printHistory(cmd.Context(), bus.Log(), print)
	if f.follow && errors.Is(err, context.Canceled) {
		return nil // interrupting is how one ends --follow
	}
	if err != nil {
		return err
	}
	if only != "" && !found {
		fmt.Fprintf(cmd.ErrOrStderr(), "nothing on the log concerns node %s ('fleetfold get nodes' lists those there are)\n", only)
	}
	if !f.follow {
		return nil
	}
	err = printLive(cmd.Context(), bus.Log(), last, print)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// concerning leaves the records of one node; an empty id means all.
func concerning(records []eventlog.Record, only fleet.NodeID) []eventlog.Record {
	if only == "" {
		return records
	}
	var some []eventlog.Record
	for _, r := range records {
		if r.Event != nil && r.Event.Node == only {
			some = append(some, r)
		}
	}
	return some
}

func (f *logFlags) print(w io.Writer, records []eventlog.Record, columns *logline.Columns) error {
	for _, r := range records {
		text := ""
		if *f.output == "text" {
			text = columns.Text(r)
		} else {
			line, err := logline.JSON(r)
			if err != nil {
				return err
			}
			text = string(line)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}

// readPage is how many records are read at a time.
const readPage = 500

func printHistory(ctx context.Context, log eventlog.Log, print func([]eventlog.Record) error) (last uint64, err error) {
	for {
		records, err := log.Read(ctx, last, readPage)
		if err != nil {
			return last, fmt.Errorf("read the log after sequence %d: %w", last, err)
		}
		if len(records) == 0 {
			return last, nil
		}
		if err := print(records); err != nil {
			return last, err
		}
		last = records[len(records)-1].Sequence
	}
}

func printLive(ctx context.Context, log eventlog.Log, after uint64, print func([]eventlog.Record) error) error {
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
		if err := print(records); err != nil {
			return err
		}
	}
}
