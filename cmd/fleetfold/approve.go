package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newApprove() *cobra.Command {
	var nats cli.NATSFlags
	var note string
	cmd := &cobra.Command{
		Use:   "approve ID",
		Short: "Approve the removal of more nodes than planners remove on their own",
		Long: `Approve the removal of more nodes than planners remove on their own. 'fleetfold
status' shows what is held and the ID, which stands for exactly these nodes: if the
plan changes meanwhile, the ID is refused and nothing is approved.

An approval counts until another inventory is applied.`,
		Example: `  fleetfold status
  fleetfold approve removal-3f4819e61e4a96dc139a -m "the old racks are switched off"`,
		Args: oneApproval,
		RunE: func(cmd *cobra.Command, args []string) error {
			return approve(cmd, &nats, fleet.ApprovalID(args[0]), note)
		},
	}
	nats.AddTo(cmd.Flags())
	addNote(cmd, &note)
	return cmd
}

func oneApproval(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return errors.New("one id is approved at a time; 'fleetfold status' shows what waits")
	}
	return nil
}

func approve(cmd *cobra.Command, nats *cli.NATSFlags, id fleet.ApprovalID, note string) error {
	word, err := wordOf(note)
	if err != nil {
		return err
	}
	l, err := follow(cmd.Context(), cmd, nats)
	if err != nil {
		return err
	}
	defer l.close()
	var waiting status.Approval
	var waits bool
	err = read(cmd.Context(), l.view, l.inventories.Get, func(st *projection.State, inv *fleet.Inventory) {
		waiting, waits = status.Waiting(st, inv, time.Now())
	})
	switch {
	case err != nil:
		return err
	case !waits:
		return fmt.Errorf("nothing waits for approval, %q least of all", id)
	case waiting.ID != id:
		return cli.WithHint(fmt.Errorf("no held plan has the id %q", id),
			fmt.Sprintf("%s waits: the removal of %s: %s", waiting.ID, render.Count(len(waiting.Nodes), "node"), named(waiting.Nodes)))
	}
	if err := planner.Approve(cmd.Context(), l.bus.Log(), id, waiting.Basis, word); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "approved the removal of %s: %s\n", render.Count(len(waiting.Nodes), "node"), named(waiting.Nodes))
	return nil
}

// mostNamed is how many nodes are named in one line.
const mostNamed = 10

func named(ids []fleet.NodeID) string {
	var names []string
	for _, id := range ids[:min(len(ids), mostNamed)] {
		names = append(names, string(id))
	}
	text := strings.Join(names, ", ")
	if more := len(ids) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
