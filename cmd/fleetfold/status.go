package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newStatus() *cobra.Command {
	var nats cli.NATSFlags
	var output *string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the inventory in force, the observed fleet and the plan between them",
		Example: `  fleetfold status --nats nats://127.0.0.1:4222
  fleetfold status -o json | jq .converged`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s status.Status
			err := now(cmd, &nats, func(st *projection.State, inv *fleet.Inventory) { s = status.Of(st, inv, time.Now()) })
			if err != nil {
				return err
			}
			if *output == "json" {
				return render.JSON(cmd.OutOrStdout(), s)
			}
			return statusText(cmd.OutOrStdout(), s)
		},
	}
	nats.AddTo(cmd.Flags())
	output = addOutput(cmd.Flags(), "output `FORMAT`", "text", "json")
	return cmd
}

func statusText(w io.Writer, s status.Status) error {
	present, signing := s.Observed.Counts()
	state := "not converged"
	if s.Converged {
		state = "converged"
	}
	inv := "none applied yet"
	if s.Inventory.Digest != "" {
		inv = fmt.Sprintf("generation %d, %s", s.Inventory.Generation, logline.Digest(s.Inventory.Digest))
	}
	b := bufio.NewWriter(w) // it keeps the first error of writing
	fmt.Fprintf(b, "state        %s at sequence %d\ninventory    %s\nnodes        %d observed, %d present, %d signing\nenforcement  %s\nin flight    %d\n",
		state, s.Sequence, inv, len(s.Observed.Nodes), present, signing, render.Posture(s.Observed.StrictEnforced), len(s.InFlight))
	for _, f := range s.InFlight {
		fmt.Fprintf(b, "             %s %s (attempt %d, since %s)\n", f.Type, f.ID, f.Attempt, f.Since.Local().Format("15:04:05"))
	}
	for _, p := range s.Paused {
		fmt.Fprintf(b, "paused       %s by %s since %s%s\n", p.Target, p.Actor, p.Since.Local().Format(time.DateTime), because(p.Note))
	}
	if s.Inventory.Digest != "" {
		fmt.Fprintln(b)
		o := render.Options{Colour: render.Colour(w)}
		if err := errors.Join(render.Plan(b, s.Plan, s.BlockedBy, o), render.Held(b, s.Held, o)); err != nil {
			return err
		}
	}
	return b.Flush()
}

func because(note string) string {
	if note == "" {
		return ""
	}
	return ": " + note
}
