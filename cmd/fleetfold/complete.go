package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/contexts"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/internal/listing"
	"github.com/fleetfold/fleetfold/internal/logfilter"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// completeWithin is how long a shell waits for words of the live fleet; after it
// there are none. Nothing is said of why: a person is in the middle of a line.
const completeWithin = 2 * time.Second

// words are what may stand at a place of the command line.
type words = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// addCompletion says for every command of the tree what its flags and arguments
// may be. Flags of one name mean the same everywhere.
func addCompletion(root *cobra.Command) {
	flags := map[string]words{
		"node": ofFleet(nodeIDs), "region": ofFleet(regionNames), "action": ofFleet(actionIDs), "plan": ofFleet(planIDs),
		"type": anyOf(logfilter.Types()), "context": contextNames, "for": conditions,
		"inventory": yamlFiles, "observed": jsonFiles, "identity": folders, "dir": folders, "out": folders,
	}
	arguments := map[string]words{
		"history": first(ofFleet(nodeIDs)), "approve": first(ofFleet(approvalIDs)),
		"apply": first(yamlFiles), "diff": first(yamlFiles), "validate": first(yamlFiles),
		"use": first(contextNames), "show": first(contextNames), "remove": first(contextNames),
		"explain": first(ofFleet(explainable)), "retry": first(ofFleet(actionIDs)),
	}
	for _, cmd := range cli.Commands(root) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if w := flags[f.Name]; w != nil {
				_ = cmd.RegisterFlagCompletionFunc(f.Name, w) // fails only where somebody knew better
			}
			if f.Name == "output" && strings.Contains(f.Usage, "table, wide") {
				_ = cmd.RegisterFlagCompletionFunc(f.Name, anyOf(listing.Formats))
			}
		})
		if w := arguments[cmd.Name()]; w != nil && cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = w
		}
	}
}

// first leaves nothing for a second argument.
func first(w words) words {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return w(cmd, args, begun)
	}
}

func anyOf(list []string) words {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

func yamlFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

func jsonFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
}

func folders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func contextNames(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
	list, _ := contexts.List()
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// conditions are those of wait; a node is one of the live fleet.
func conditions(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	const node = "node="
	if !strings.HasPrefix(begun, node) {
		return []string{"converged", "strict", "permissive", node}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	ids, directive := ofFleet(nodeIDs)(cmd, args, strings.TrimPrefix(begun, node))
	for i := range ids {
		ids[i] = node + ids[i]
	}
	return ids, directive
}

// ofFleet asks the live fleet that the flags and the environment name.
func ofFleet(list func(*projection.State, *fleet.Inventory) []string) words {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
		defer cancel()
		found := make(chan []string, 1)
		go func() { found <- askFleet(ctx, cmd, list) }()
		var fit []string
		select {
		case all := <-found:
			for _, w := range all {
				if strings.HasPrefix(w, begun) {
					fit = append(fit, w)
				}
			}
		case <-ctx.Done(): // what is still under way ends with the process
		}
		slices.Sort(fit)
		return slices.Compact(fit), cobra.ShellCompDirectiveNoFileComp
	}
}

func askFleet(ctx context.Context, cmd *cobra.Command, list func(*projection.State, *fleet.Inventory) []string) (found []string) {
	flags, err := cli.NATSFlagsOf(cmd)
	if err != nil {
		return nil
	}
	options, err := flags.Options("fleetfold completion")
	if err != nil {
		return nil
	}
	bus, err := eventlog.Connect(ctx, options)
	if err != nil {
		return nil
	}
	defer bus.Close()
	v := snapshots.ForCommand(bus, io.Discard)
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- v.Run(running) }()
	defer func() { stop(); <-done }()
	if v.CatchUp(ctx) != nil {
		return nil
	}
	_ = read(ctx, v, view.NewInventories(bus.GetInventory).Get, func(st *projection.State, inv *fleet.Inventory) { found = list(st, inv) })
	return found
}

func nodeIDs(st *projection.State, inv *fleet.Inventory) (ids []string) {
	for _, n := range status.Nodes(st, inv) {
		ids = append(ids, string(n.ID))
	}
	return ids
}

func regionNames(_ *projection.State, inv *fleet.Inventory) []string { return status.Regions(inv) }

func actionIDs(st *projection.State, inv *fleet.Inventory) (ids []string) {
	for _, a := range status.Actions(st, inv, time.Now()) {
		if a.Action != "" {
			ids = append(ids, string(a.Action))
		}
	}
	return ids
}

// planIDs are those that have something in flight: others are not in the fold.
func planIDs(st *projection.State, _ *fleet.Inventory) (ids []string) {
	for id := range status.Open(st) {
		ids = append(ids, string(id))
	}
	return ids
}

func approvalIDs(st *projection.State, inv *fleet.Inventory) []string {
	if a, waits := status.Waiting(st, inv, time.Now()); waits {
		return []string{string(a.ID)}
	}
	return nil
}

func explainable(st *projection.State, inv *fleet.Inventory) []string {
	return append(append(nodeIDs(st, inv), actionIDs(st, inv)...), "strict")
}
