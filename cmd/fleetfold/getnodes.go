package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

type nodeFlags struct {
	getFlags
	absent, cannotSign, stuck bool
	expiring                  time.Duration
}

func newGetNodes() *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes, desired and observed",
		Long: `List the nodes, desired and observed: first those of the inventory in its order, then
those that are observed and not desired. Several filters together list what all of
them fit.`,
		Example: `  fleetfold get nodes
  fleetfold get nodes --absent --region nyc
  fleetfold get nodes --expiring 24h -o wide
  fleetfold get nodes --cannot-sign -o 'template={{.ID}}'`,
		Args: cobra.NoArgs,
	}
	f.addTo(cmd)
	f.addRegion(cmd)
	fs := cmd.Flags()
	fs.BoolVar(&f.absent, "absent", false, "only nodes that are not present")
	fs.BoolVar(&f.cannotSign, "cannot-sign", false, "only nodes that cannot sign")
	fs.BoolVar(&f.stuck, "stuck", false, "only nodes for which something failed again and again")
	fs.DurationVar(&f.expiring, "expiring", 0, "only nodes whose credential ends within this `DURATION`, above 0")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.expiring < 0 || f.expiring == 0 && cmd.Flags().Changed("expiring") {
			return cli.Usagef("--expiring is %s, must be above 0", f.expiring)
		}
		return get(cmd, &f.getFlags, kind[status.Node]{
			plural: "nodes", columns: nodeColumns(time.Now), key: func(n status.Node) string { return string(n.ID) },
			list: folded(f.nodes, func(status.Node) bool { return true }), filtered: f.filtered,
		})
	}
	return cmd
}

func (f *nodeFlags) filtered() bool {
	return f.region != "" || f.absent || f.cannotSign || f.stuck || f.expiring > 0
}

func (f *nodeFlags) nodes(st *projection.State, inv *fleet.Inventory, now time.Time) (some []status.Node) {
	for _, n := range status.Nodes(st, inv) {
		if f.fits(n, now) {
			some = append(some, n)
		}
	}
	return some
}

func (f *nodeFlags) fits(n status.Node, now time.Time) bool {
	switch {
	case f.region != "" && n.Region != f.region,
		f.absent && n.Present,
		f.cannotSign && n.CanSign,
		f.stuck && !n.Stuck:
		return false
	}
	return f.expiring == 0 || n.NotAfter != nil && n.NotAfter.Before(now.Add(f.expiring))
}
