package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/inventoryfile"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// pauseFlags are those of pause and resume.
type pauseFlags struct {
	nats               cli.NATSFlags
	region, node, note string
}

func newPause() *cobra.Command {
	var f pauseFlags
	cmd := &cobra.Command{
		Use:   "pause [--region NAME | --node ID]",
		Short: "Begin nothing on the fleet, a region or a node",
		Long: `Begin nothing on the fleet, a region or a node, until it is resumed.

Planners publish no action for what is paused, and executors begin none: one that
is in flight and has not begun is refused, and published anew after the resume. An
action that an executor is carrying out already is not stopped; 'fleetfold status'
shows what is in flight. Strict enforcement is the exception: it is switched on
only if nothing came onto the log since that was decided, a pause included.

Facts go on being recorded. Relaxing enforcement is never held, and nodes go on
renewing their credentials; a rotation waits. A pause of a region covers
the nodes that the inventory names in it, not those that it names no more.`,
		Example: `  fleetfold pause -m "network works in nyc"
  fleetfold pause --region nyc
  fleetfold pause --node node-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, planner.Pause, "paused %s\n", "%s is paused already\n")
		},
	}
	f.addTo(cmd)
	return cmd
}

func newResume() *cobra.Command {
	var f pauseFlags
	cmd := &cobra.Command{
		Use:   "resume [--region NAME | --node ID]",
		Short: "End a pause of the fleet, a region or a node",
		Long: `End a pause of the fleet, a region or a node. It ends exactly the pause that it
names: resuming the fleet leaves a paused region paused.`,
		Example: `  fleetfold resume
  fleetfold resume --region nyc -m "works are done"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, planner.Resume, "resumed %s\n", "%s is not paused\n")
		},
	}
	f.addTo(cmd)
	return cmd
}

func (f *pauseFlags) addTo(cmd *cobra.Command) {
	f.nats.AddTo(cmd.Flags())
	cmd.Flags().StringVar(&f.region, "region", "", "only the region with this `NAME`")
	cmd.Flags().StringVar(&f.node, "node", "", "only the node with this `ID`")
	addNote(cmd, &f.note)
	cmd.MarkFlagsMutuallyExclusive("region", "node")
}

func addNote(cmd *cobra.Command, note *string) {
	cmd.Flags().StringVarP(note, "message", "m", "", "`NOTE` that says why, for those who read the log")
}

func (f *pauseFlags) target() (fleet.Target, error) {
	switch {
	case f.region != "" && f.node != "":
		return fleet.Target{}, cli.Usagef("--region and --node are both given")
	case f.region != "":
		return fleet.Target{Scope: fleet.ScopeRegion, Region: f.region}, nil
	case f.node != "":
		id, err := fleet.ParseNodeID(f.node)
		if err != nil {
			return fleet.Target{}, cli.Usagef("--node %q: %w", f.node, err)
		}
		return fleet.Target{Scope: fleet.ScopeNode, ID: id}, nil
	}
	return fleet.Target{Scope: fleet.ScopeFleet}, nil
}

type pauseOrResume func(context.Context, eventlog.Log, *view.View, fleet.Target, planner.Word) (bool, error)

func (f *pauseFlags) run(cmd *cobra.Command, do pauseOrResume, done, already string) error {
	target, err := f.target()
	if err != nil {
		return err
	}
	word, err := wordOf(f.note)
	if err != nil {
		return err
	}
	l, err := follow(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return err
	}
	defer l.close()
	changed, err := do(cmd.Context(), l.bus.Log(), l.view, target, word)
	if err != nil {
		return err
	}
	if !changed {
		done = already
	}
	fmt.Fprintf(cmd.OutOrStdout(), done, target)
	return nil
}

// maxNoteBytes is what the schemas of events allow.
const maxNoteBytes = 4096

func wordOf(note string) (planner.Word, error) {
	if len(note) > maxNoteBytes {
		return planner.Word{}, cli.Usagef("--message has %d bytes, at most %d are allowed", len(note), maxNoteBytes)
	}
	return planner.Word{Actor: inventoryfile.Actor(), Note: note, At: time.Now()}, nil
}
