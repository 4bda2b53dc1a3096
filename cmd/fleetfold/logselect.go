package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logfilter"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

// selectFlags say which records of a log are asked for.
type selectFlags struct {
	node, action, plan, region string
	types                      []string
}

func (f *selectFlags) addTo(fs *pflag.FlagSet) {
	fs.StringVar(&f.node, "node", "", "only what concerns the node with this `ID`")
	fs.StringSliceVar(&f.types, "type", nil, "only events of this `TYPE`, such as node.lost or credential.*; \"unfit\" for messages that are no event; may be repeated")
	fs.StringVar(&f.action, "action", "", "only the action with this `ID`, or its beginning: request, outcome and effects")
	fs.StringVar(&f.plan, "plan", "", "only the plan with this `ID`, or its beginning, and what its actions did")
	fs.StringVar(&f.region, "region", "", "only what concerns the region with this `NAME`, or nodes that the inventory in force has in it")
}

func (f *selectFlags) check() error {
	if f.node != "" {
		if _, err := fleet.ParseNodeID(f.node); err != nil {
			return cli.Usagef("--node %q: %w", f.node, err)
		}
	}
	for _, t := range f.types {
		if err := logfilter.CheckType(t); err != nil {
			return cli.Usagef("--type %q: %w", t, err)
		}
	}
	return nil
}

// filter asks the log for the actions of the plan, and for the nodes of the region.
func (f *selectFlags) filter(ctx context.Context, bus *eventlog.Bus) (*logfilter.Filter, error) {
	filter := &logfilter.Filter{Node: fleet.NodeID(f.node), Types: f.types, Action: f.action, Region: f.region}
	if f.plan != "" {
		if err := findPlan(ctx, bus, f.plan, filter); err != nil {
			return nil, err
		}
	}
	if f.region != "" {
		inv, err := newestInventory(ctx, bus)
		if err != nil {
			return nil, err
		}
		if known := status.Regions(inv); !slices.Contains(known, f.region) {
			return nil, cli.WithHint(fmt.Errorf("--region %q: the inventory in force has no such region", f.region), "it has: "+names(known))
		}
		filter.Nodes = make(map[fleet.NodeID]bool)
		for _, r := range inv.Regions {
			for _, n := range r.Nodes {
				filter.Nodes[n.ID] = filter.Nodes[n.ID] || r.Name == f.region
			}
		}
	}
	return filter, nil
}

// nothing is said where no record fits.
func (f *selectFlags) nothing() string {
	if f.node != "" && f.action == "" && f.plan == "" && f.region == "" && len(f.types) == 0 {
		return fmt.Sprintf("nothing on the log concerns node %s ('fleetfold get nodes' lists those there are)", f.node)
	}
	return "nothing on the log fits"
}

// eachOn calls fn for each record on one subject, until it says stop.
func eachOn(ctx context.Context, bus *eventlog.Bus, subject string, fn func(eventlog.Record)) error {
	const page = 200
	for after := uint64(0); ; {
		records, err := bus.ReadSubject(ctx, subject, after, page)
		if err != nil {
			return err
		}
		for _, r := range records {
			after = r.Sequence
			fn(r)
		}
		if len(records) < page {
			return nil
		}
	}
}

// eachOnAny does so for several subjects, one after the other.
func eachOnAny(ctx context.Context, bus *eventlog.Bus, subjects []string, fn func(eventlog.Record)) error {
	for _, subject := range subjects {
		if err := eachOn(ctx, bus, subject, fn); err != nil {
			return err
		}
	}
	return nil
}

// findPlan takes the exact id, or else a beginning that only one plan has.
func findPlan(ctx context.Context, bus *eventlog.Bus, id string, filter *logfilter.Filter) error {
	var found []*events.PlanDecided
	var at uint64
	exact := false
	subjects := bus.Log().Subjects()
	err := eachOnAny(ctx, bus, []string{subjects.Plan(), subjects.AllShardPlans()}, func(r eventlog.Record) {
		if r.Event == nil {
			return
		}
		d, ok := r.Event.Data.(*events.PlanDecided)
		switch {
		case !ok || exact:
		case string(d.Plan) == id:
			found, at, exact = []*events.PlanDecided{d}, r.Sequence, true
		case strings.HasPrefix(string(d.Plan), id):
			found, at = append(found, d), r.Sequence
		}
	})
	switch {
	case err != nil:
		return fmt.Errorf("find plan: %w", err)
	case len(found) == 0:
		return cli.WithHint(fmt.Errorf("--plan %q: no such plan was published", id), "'fleetfold get plans -n 0' lists them")
	case len(found) > 1:
		return cli.WithHint(fmt.Errorf("--plan %q: %d plans begin like that", id, len(found)), "give more of the id; 'fleetfold get plans -n 0' lists them")
	}
	filter.Plan, filter.Begins, filter.Actions = found[0].Plan, at, make(map[fleet.ActionID]bool)
	for _, a := range found[0].Actions {
		filter.Actions[a.Action] = true
	}
	return nil
}

// newestInventory is the one in force, without folding the log; nil for none.
func newestInventory(ctx context.Context, bus *eventlog.Bus) (*fleet.Inventory, error) {
	var newest *events.InventoryApplied
	err := eachOn(ctx, bus, bus.Log().Subjects().Inventory(), func(r eventlog.Record) {
		if r.Event == nil {
			return
		}
		if d, ok := r.Event.Data.(*events.InventoryApplied); ok && (newest == nil || d.Generation > newest.Generation) {
			newest = d
		}
	})
	if err != nil || newest == nil {
		return nil, err
	}
	text, err := bus.GetInventory(ctx, newest.Digest)
	if err != nil {
		return nil, fmt.Errorf("get inventory in force: %w", err)
	}
	inv, rep := inventory.Parse(text)
	return inv, rep.Err()
}
