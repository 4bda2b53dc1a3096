package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get",
		Short:   "List what a running fleet consists of",
		Example: "  fleetfold get nodes",
	}
	cmd.AddCommand(newGetNodes())
	return cmd
}

func newGetNodes() *cobra.Command {
	var nats cli.NATSFlags
	var output *string
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes, desired and observed",
		Example: `  fleetfold get nodes
  fleetfold get nodes -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var nodes []status.Node
			err := now(cmd, &nats, func(st *projection.State, inv *fleet.Inventory) { nodes = status.Nodes(st, inv) })
			if err != nil {
				return err
			}
			if *output == "json" {
				return render.JSON(cmd.OutOrStdout(), nodes)
			}
			return nodesTable(cmd.OutOrStdout(), nodes)
		},
	}
	nats.AddTo(cmd.Flags())
	output = addOutput(cmd.Flags(), "output `FORMAT`", "table", "json")
	return cmd
}

func nodesTable(w io.Writer, nodes []status.Node) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tREGION\tDESIRED\tPRESENT\tSIGNS\tEPOCH\tCREDENTIAL UNTIL (UTC)\tIN FLIGHT\tFAILED\tLAST ERROR")
	for _, n := range nodes {
		until := "-"
		if n.NotAfter != nil {
			until = n.NotAfter.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", n.ID, dash(n.Region), yes(n.Desired), yes(n.Present), yes(n.CanSign),
			n.Epoch, until, dash(string(n.InFlight)), failed(n), dash(cut(n.LastError)))
	}
	return t.Flush()
}

// failed counts the failures in a row; stuck stands where the fleet waits for
// what keeps failing.
func failed(n status.Node) string {
	switch {
	case n.Stuck:
		return fmt.Sprintf("%d, stuck", n.Failures)
	case n.Failures > 0:
		return strconv.Itoa(n.Failures)
	}
	return "-"
}

// cut keeps a table a table; the JSON form has all of it.
func cut(s string) string {
	const shown = 40
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > shown {
		return string(r[:shown-1]) + "…"
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
