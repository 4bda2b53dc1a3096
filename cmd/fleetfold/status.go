package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newStatus() *cobra.Command {
	var nats cli.NATSFlags
	var output *string
	var brief bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the inventory in force, the observed fleet, the plan between them and who works on it",
		Long: `Show the fleet as its log tells it: the inventory in force, the observed nodes,
the plan between the two, what of it is held or keeps failing, and which planners
and executors answer.

A planner or executor that is dead, paused or cut off does not answer.

--brief folds nothing and takes a planner's word: the numbers of its last decision.
That answers at once in a fleet of any size. Exit code 1 means that no planner
answered that has decided.`,
		Example: `  fleetfold status --nats nats://127.0.0.1:4222
  fleetfold status --brief
  fleetfold status -o json | jq .converged`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if brief {
				return statusBrief(cmd, &nats, *output)
			}
			s, err := statusNow(cmd, &nats)
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
	cmd.Flags().BoolVar(&brief, "brief", false, "take a planner's word for it, and fold nothing")
	return cmd
}

// statusNow folds the log, asks who works on it, and looks at what it has become.
func statusNow(cmd *cobra.Command, nats *cli.NATSFlags) (status.Status, error) {
	l, err := follow(cmd.Context(), cmd, nats)
	if err != nil {
		return status.Status{}, err
	}
	defer l.close()
	end, err := l.bus.Log().Last(cmd.Context())
	if err != nil {
		return status.Status{}, err
	}
	services, err := l.bus.Services(cmd.Context())
	if err != nil {
		return status.Status{}, err
	}
	var s status.Status
	err = read(cmd.Context(), l.view, l.inventories.Get, func(st *projection.State, inv *fleet.Inventory) { s = status.Of(st, inv, time.Now()) })
	if err != nil {
		return status.Status{}, err
	}
	s.SetServices(services, end)
	return s, nil
}
