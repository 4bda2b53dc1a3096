package main

import (
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/inventorydiff"
	"github.com/fleetfold/fleetfold/internal/render"
)

func newDiff() *cobra.Command {
	var nats cli.NATSFlags
	var output *string
	cmd := &cobra.Command{
		Use:   "diff FILE",
		Short: "Show what an inventory changes of the one in force, and the actions it leads to",
		Long: `Show what an inventory changes of the one in force, field by field, and then the
actions that a running fleet would need for it, in the order they would be carried
out, and what of them would be held. Nothing is changed. FILE may be - for standard
input.

+ is added, - removed, ~ changed, and > a node that stands in another region. What
changes alike for several nodes of a region stands in one line; the JSON form lists
each node.

Exit code 0 means that no field differs and that there is nothing to do, 2 that there
are changes, 1 an error, 64 a mistake in the call.`,
		Example: `  fleetfold diff fleet.yaml
  git show HEAD~1:fleet.yaml | fleetfold diff -
  fleetfold diff fleet.yaml -o json | jq -r .changes[].path`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return diff(cmd, &nats, args[0], *output == "json") },
	}
	nats.AddTo(cmd.Flags())
	output = addOutput(cmd.Flags(), "output `FORMAT`", "text", "json")
	return cmd
}

// diffJSON is the form for machines; its lists are never null.
type diffJSON struct {
	// Against is the inventory in force.
	Against inForceJSON `json:"against"`
	// Digest of the one that was asked about; Same says that it is the one in force.
	Digest  string                 `json:"digest"`
	Same    bool                   `json:"same"`
	Changes []inventorydiff.Change `json:"changes"`
	Plan    planJSON               `json:"plan"`
}

type inForceJSON struct {
	Digest     string `json:"digest"`
	Generation uint64 `json:"generation"`
	Actor      string `json:"actor,omitempty"`
	Note       string `json:"note,omitempty"`
	// Sequence of the log at which it was applied.
	Sequence uint64 `json:"sequence"`
}

func diff(cmd *cobra.Command, nats *cli.NATSFlags, name string, asJSON bool) error {
	c, err := readCandidate(cmd, name)
	if err != nil {
		return err
	}
	l, err := follow(cmd.Context(), cmd, nats)
	if err != nil {
		return err
	}
	defer l.close()
	end := busy(cmd, "looking where it leads")
	f, err := foresee(cmd.Context(), l, c)
	end()
	if err != nil {
		return err
	}
	if asJSON {
		err = render.JSON(cmd.OutOrStdout(), newDiffJSON(f))
	} else {
		err = forecastText(cmd.OutOrStdout(), f, 0)
	}
	if err == nil && (len(f.changes) > 0 || !f.then.Plan.Empty()) {
		err = cli.Exit{Code: exitChanges}
	}
	return err
}

func newDiffJSON(f forecast) diffJSON {
	return diffJSON{
		Against: inForceJSON{f.ref.Digest, f.ref.Generation, f.ref.Actor, f.ref.Note, f.ref.Sequence},
		Digest:  f.digest, Same: f.inForceAlready(),
		Changes: append([]inventorydiff.Change{}, f.changes...),
		Plan:    livePlanJSON(f),
	}
}

func livePlanJSON(f forecast) planJSON {
	return newPlanJSON(f.then.Plan, f.then.BlockedBy, f.then.Held, f.new, &f.observed)
}
