package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/listing"
	"github.com/fleetfold/fleetfold/internal/nodehistory"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func newHistory() *cobra.Command {
	var nats cli.NATSFlags
	var output, template string
	cmd := &cobra.Command{
		Use:   "history NODE",
		Short: "Tell what happened to a node, fact by fact",
		Long: `Tell what happened to a node, fact by fact: when, at which sequence of the log, what
was otherwise from then on, and which plan and action it belongs to. Inventories are
told that ask for something else of the node, plans that want or hold something for
it, and pauses and rotations that cover it.

The whole log is read and folded, so that what an event changed is what the fold says.`,
		Example: `  fleetfold history node-1
  fleetfold history node-1 -o wide
  fleetfold history node-1 -o json | jq '.[] | select(.changed != [])'`,
		Args: oneNode,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := listing.Parse(output, template)
			if err != nil {
				return cli.Usagef("--output %s: %w", output, err)
			}
			return tellHistory(cmd, &nats, args[0], format)
		},
	}
	nats.AddTo(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "table", "output `FORMAT`: "+strings.Join(listing.Formats, ", "))
	cmd.Flags().StringVar(&template, "template", "", "`TEMPLATE` of Go's text/template for each entry, with -o template")
	return cmd
}

func oneNode(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one node; 'fleetfold get nodes' lists them")
	}
	if _, err := fleet.ParseNodeID(args[0]); err != nil {
		return fmt.Errorf("%q: %w", args[0], err)
	}
	return nil
}

func tellHistory(cmd *cobra.Command, nats *cli.NATSFlags, name string, format listing.Format) error {
	ctx := cmd.Context()
	bus, err := connect(ctx, cmd, nats)
	if err != nil {
		return err
	}
	defer bus.Close()
	texts := view.NewInventories(bus.GetInventory)
	teller := nodehistory.New(fleet.NodeID(name), bus.Log().Subjects(), func(digest string) (*fleet.Inventory, error) { return texts.Get(ctx, digest) })
	if err := eachRecord(ctx, bus.Log(), teller.See); err != nil {
		return err
	}
	if !teller.Known() {
		return cli.WithHint(fmt.Errorf("the log knows no node %q, and neither does an inventory", name), "'fleetfold get nodes' lists those there are")
	}
	return fits(listing.Write(cmd.OutOrStdout(), format, historyColumns, teller.Entries()))
}

// eachRecord reads the whole log up to its present end.
func eachRecord(ctx context.Context, log eventlog.Log, fn func(eventlog.Record) error) error {
	for r, err := range eventlog.Records(ctx, log, 0) {
		if err != nil {
			return err
		}
		if err := fn(r); err != nil {
			return fmt.Errorf("fold the log: %w", err)
		}
	}
	return nil
}

var historyColumns = []listing.Column[nodehistory.Entry]{
	{Name: "TIME", Text: func(e nodehistory.Entry) string { return clock(e.Time) }},
	{Name: "SEQ", Text: func(e nodehistory.Entry) string { return strconv.FormatUint(e.Sequence, 10) }},
	{Name: "WHAT", Text: func(e nodehistory.Entry) string { return string(e.Type) }},
	{Name: "PLAN", Wide: true, Text: func(e nodehistory.Entry) string { return string(e.Plan) }},
	{Name: "ACTION", Wide: true, Text: func(e nodehistory.Entry) string { return string(e.Action) }},
	{Name: "SO IT IS, AND WHY", Text: soAndWhy},
}

// soAndWhy says first what is otherwise from here on.
func soAndWhy(e nodehistory.Entry) string {
	changed := strings.Join(e.Changed, ", ")
	if changed == "" || e.Detail == "" {
		return changed + e.Detail
	}
	return changed + ": " + e.Detail
}
