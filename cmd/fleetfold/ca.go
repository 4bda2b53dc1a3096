package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newCA() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Show the fleet's issuers, and rotate them without a gap",
		Long: `Show the fleet's issuers, the root and the intermediates of regions, and rotate
them without a gap:

  prepare   an executor makes the successor and publishes it
  activate  it issues from then on, once every desired node has reported a trust
            bundle with its root
  retire    its predecessors end, once no desired node signs with what they issued

Each step is requested on the log and taken by an executor when its gate is open;
'ca status' names the nodes that it waits for.`,
		Example: `  fleetfold ca status
  fleetfold ca prepare -m "yearly rotation"
  fleetfold ca activate --region nyc`,
	}
	cmd.AddCommand(
		newCAStatus(),
		newCAStep(events.RotationPrepare, "Have the successor of the root, or of a region's intermediate, made and published"),
		newCAStep(events.RotationActivate, "Have the successor issue once every desired node knows its root"),
		newCAStep(events.RotationRetire, "End the predecessors once no desired node signs with what they issued"),
	)
	return cmd
}

func newCAStep(step events.RotationStep, short string) *cobra.Command {
	var nats cli.NATSFlags
	var region, note string
	cmd := &cobra.Command{
		Use:   string(step) + " [--region NAME]",
		Short: short,
		Example: fmt.Sprintf(`  fleetfold ca %s
  fleetfold ca %s --region nyc -m "key may have leaked"`, step, step),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return requestStep(cmd, &nats, step, region, note) },
	}
	nats.AddTo(cmd.Flags())
	cmd.Flags().StringVar(&region, "region", "", "the intermediate of the region with this `NAME`, in place of the root")
	addNote(cmd, &note)
	return cmd
}

func requestStep(cmd *cobra.Command, nats *cli.NATSFlags, step events.RotationStep, region, note string) error {
	word, err := wordOf(note)
	if err != nil {
		return err
	}
	l, err := follow(cmd.Context(), cmd, nats)
	if err != nil {
		return err
	}
	defer l.close()
	inv, _, err := inForce(cmd.Context(), l.view, l.inventories.Get)
	if err != nil {
		return err
	}
	if inv == nil {
		return errNoInventory
	}
	err = authority.Request(cmd.Context(), l.bus.Log(), l.view, inv, step, region, authority.Word(word))
	if errors.Is(err, authority.ErrNotPossible) {
		return cli.WithHint(err, "'fleetfold ca status' shows the issuers and their stages")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "requested to %s the %s; an executor does it, 'fleetfold ca status' shows what it waits for\n", step, issuerOf(region))
	return nil
}

var errNoInventory = errors.New("no inventory is in force, so there are no issuers")

func issuerOf(region string) string {
	if region == "" {
		return "root"
	}
	return "intermediate of region " + region
}

func newCAStatus() *cobra.Command {
	var nats cli.NATSFlags
	var output *string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show issuers, their stages, and which nodes a requested step waits for",
		Example: `  fleetfold ca status
  fleetfold ca status -o json | jq .pending`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var st *authority.Status
			err := now(cmd, &nats, func(s *projection.State, inv *fleet.Inventory) {
				if inv != nil {
					found := authority.StatusOf(s, inv)
					st = &found
				}
			})
			switch {
			case err != nil:
				return err
			case st == nil:
				return errNoInventory
			case *output == "json":
				return render.JSON(cmd.OutOrStdout(), st)
			}
			return caText(cmd.OutOrStdout(), st)
		},
	}
	nats.AddTo(cmd.Flags())
	output = addOutput(cmd.Flags(), "output `FORMAT`", "text", "json")
	return cmd
}

func caText(w io.Writer, st *authority.Status) error {
	fmt.Fprintf(w, "trust domain  %s\nbundle        %s, reported by %d of %s\nrevoked       %s\n\n", st.TrustDomain, dash(st.BundleDigest),
		st.Reported, render.Count(st.Desired, "desired node"), render.Count(st.Revoked, "certificate"))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ISSUER\tSTAGE\tENDS\tSIGNING NODES\tFINGERPRINT")
	for _, i := range st.Issuers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", issuerOf(i.Region), i.Stage, i.NotAfter.UTC().Format(time.DateOnly), i.Signing, i.Fingerprint)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range st.Pending {
		fmt.Fprintf(w, "\n%s of the %s, wanted by %s", p.Step, issuerOf(p.Region), p.Actor)
		if p.Note != "" {
			fmt.Fprintf(w, ": %s", p.Note)
		}
		fmt.Fprintln(w)
		switch {
		case p.Detail != "":
			fmt.Fprintf(w, "  waits: %s: %s\n", p.Reason, p.Detail)
		case len(p.Nodes) > 0:
			fmt.Fprintf(w, "  waits for %s: %s: %s\n", render.Count(len(p.Nodes), "node"), p.Reason, named(p.Nodes))
		default:
			fmt.Fprintln(w, "  waits for an executor")
		}
	}
	return nil
}
