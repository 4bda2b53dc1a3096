package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// partitionForm stands in the help of the commands of partitions.
const partitionForm = `
A partition names two or more shards with their regions, and one of them as the rest:

  rest: europe
  shards:
    - name: europe
      regions: [ams, fra]
    - name: america
      regions: [nyc]

Planners are told their shard by --shard NAME, and each publishes what is to be done
to its own nodes, on fleet.events.plan.NAME. The rest has the regions that no shard
names, the nodes that the inventory does not name, and the fleet as a whole: strict
enforcement is switched by its planners, once the nodes of all shards are ready.
Start the planners of each shard before or after: until there are some, nothing is
planned for its nodes, and a planner without a part says so at /readyz.`

func newPartition() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "partition",
		Short:   "Divide the fleet by region among planners, or make it one again",
		Long:    "Divide the fleet by region among planners, or make it one again.\n" + partitionForm,
		Example: "  fleetfold partition apply shards.yaml\n  fleetfold partition get",
	}
	cmd.AddCommand(newPartitionApply(), newPartitionGet(), newPartitionClear())
	return cmd
}

// dividing are the flags of apply and clear.
type dividing struct {
	nats cli.NATSFlags
	note string
}

func newPartitionApply() *cobra.Command {
	var f dividing
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Put a partition into force",
		Long: `Put a partition into force. FILE may be - for standard input. What is in force
already changes nothing, and is no error. If somebody else applies another one in the
same moment, nothing is changed.

What is in flight stays in flight, whoever published it; a plan that was decided under
the partition before, and comes later, does not count and is decided again.

All planners and executors have to be of a version that knows partitions.
` + partitionForm,
		Example: `  fleetfold partition apply shards.yaml -m "each continent for itself"
  fleetfold partition apply - < shards.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := readPartition(cmd, args[0])
			if err != nil {
				return err
			}
			return f.run(cmd, p)
		},
	}
	f.nats.AddTo(cmd.Flags())
	addNote(cmd, &f.note)
	return cmd
}

func newPartitionClear() *cobra.Command {
	var f dividing
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "Make the fleet one again",
		Long: `Make the fleet one again: planners without --shard decide on all of it, and those
with one decide nothing.`,
		Example: `  fleetfold partition clear -m "one planner does"`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd, fleet.Partition{}) },
	}
	f.nats.AddTo(cmd.Flags())
	addNote(cmd, &f.note)
	return cmd
}

func readPartition(cmd *cobra.Command, name string) (p fleet.Partition, err error) {
	text, err := input(cmd, name)()
	if err != nil {
		return p, cli.WithHint(fmt.Errorf("%s: %w", shown(name), err), hintUnreadable)
	}
	const hint = "'fleetfold partition --help' shows what one looks like; 'fleetfold partition clear' makes the fleet one again"
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(&p); {
	case errors.Is(err, io.EOF):
		return p, cli.WithHint(fmt.Errorf("%s: it is empty", shown(name)), hint)
	case err != nil:
		return p, cli.WithHint(fmt.Errorf("%s: %s", shown(name), strings.ReplaceAll(err.Error(), " in type fleet.", " in a ")), hint)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return p, fmt.Errorf("%s: more than one document", shown(name))
	}
	if p.None() && p.Rest == "" {
		return p, cli.WithHint(fmt.Errorf("%s: it names no shards", shown(name)), hint)
	}
	if err := p.Validate(); err != nil {
		return p, cli.WithHint(fmt.Errorf("%s: %s", shown(name), strings.ReplaceAll(err.Error(), "\n", "; ")), hint)
	}
	return p, nil
}

func (f *dividing) run(cmd *cobra.Command, p fleet.Partition) error {
	word, err := wordOf(f.note)
	if err != nil {
		return err
	}
	l, err := follow(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return err
	}
	defer l.close()
	var seen planner.SeenPartition
	l.view.Read(func(st *projection.State) { seen = planner.PartitionOn(st) })
	if seen.Same(p) {
		if p.None() {
			fmt.Fprintln(cmd.OutOrStdout(), "the fleet is one already")
			return nil
		}
		fmt.Fprintf(cmd.OutOrStdout(), "this partition is in force already, since sequence %d by %s\n", seen.Sequence, seen.Actor)
		return nil
	}
	seq, err := planner.Divide(cmd.Context(), l.bus.Log(), p, seen, word)
	if errors.Is(err, planner.ErrPartitionMoved) {
		return cli.WithHint(fmt.Errorf("%w: nothing was changed", err), "look at 'fleetfold partition get', and try again")
	} else if err != nil {
		return err
	}
	if p.None() {
		fmt.Fprintf(cmd.OutOrStdout(), "the fleet is one since sequence %d\n", seq)
		return nil
	}
	fmt.Fprintf(cmd.OutOrStdout(), "divided the fleet into %s, at sequence %d\n", strings.Join(p.Names(), ", "), seq)
	f.warnOfUnknown(cmd, l, p)
	return nil
}

// warnOfUnknown tells of regions that the inventory does not name: most likely one
// is misspelled. It is no error, for a region may be divided before it has nodes.
func (f *dividing) warnOfUnknown(cmd *cobra.Command, l *live, p fleet.Partition) {
	err := read(cmd.Context(), l.view, l.inventories.Get, func(_ *projection.State, inv *fleet.Inventory) {
		for _, s := range p.Shards {
			for _, r := range s.Regions {
				if inv != nil && !slices.ContainsFunc(inv.Regions, func(have fleet.Region) bool { return have.Name == r }) {
					cmd.PrintErrf("warning: shard %s has region %q, which the inventory in force does not name\n", s.Name, r)
				}
			}
		}
	})
	if err != nil {
		cmd.PrintErrf("warning: could not see which regions there are: %v\n", err)
	}
}

func newPartitionGet() *cobra.Command {
	var flags cli.NATSFlags
	cmd := &cobra.Command{
		Use:   "get",
		Short: "Show who has which part of the fleet",
		Long:  `Show which shards there are, what each has, and how much of it is in flight.`,
		Example: `  fleetfold partition get
  fleetfold partition get -o json`,
		Args: cobra.NoArgs,
	}
	flags.AddTo(cmd.Flags())
	output := addOutput(cmd.Flags(), "output `FORMAT`", "text", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var shown shownPartition
		if err := now(cmd, &flags, func(st *projection.State, inv *fleet.Inventory) { shown = partitionOn(st, inv) }); err != nil {
			return err
		}
		if *output == "json" {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(shown)
		}
		return shown.text(cmd.OutOrStdout())
	}
	return cmd
}

// shownPartition is the JSON form; its list is never null.
type shownPartition struct {
	Sequence uint64       `json:"sequence"`
	Since    *time.Time   `json:"since,omitempty"`
	Actor    string       `json:"actor,omitempty"`
	Note     string       `json:"note,omitempty"`
	Rest     string       `json:"rest,omitempty"`
	Shards   []shownShard `json:"shards"`
}

type shownShard struct {
	Name     string   `json:"name"`
	Regions  []string `json:"regions"` // those of the inventory, and those it is named for
	Nodes    int      `json:"nodes"`   // desired
	InFlight int      `json:"in_flight"`
	LastPlan uint64   `json:"last_plan"` // sequence; 0: none yet
}

func partitionOn(st *projection.State, inv *fleet.Inventory) shownPartition {
	p := st.Partition()
	x := shownPartition{Sequence: p.Sequence, Actor: p.Actor, Note: p.Note, Rest: p.Rest, Shards: []shownShard{}}
	if p.Sequence > 0 {
		x.Since = &p.At
	}
	desired := decide.NewDesired(inv)
	for _, s := range p.Shards {
		have := shownShard{
			Name: s.Name, Regions: append([]string{}, s.Regions...),
			InFlight: st.Ledger().OutstandingOf(s.Name), LastPlan: st.LastPlanOf(s.Name),
		}
		owner := p.Owners()
		for _, r := range desired.Inventory.Regions {
			if owner(r.Name) != s.Name {
				continue
			}
			have.Nodes += len(r.Nodes)
			if !slices.Contains(have.Regions, r.Name) {
				have.Regions = append(have.Regions, r.Name)
			}
		}
		x.Shards = append(x.Shards, have)
	}
	return x
}

func (x shownPartition) text(w io.Writer) error {
	if len(x.Shards) == 0 {
		_, err := fmt.Fprintln(w, "the fleet is one: planners without --shard decide on all of it")
		return err
	}
	fmt.Fprintf(w, "divided since sequence %d by %s\n\n", x.Sequence, logline.Plain(x.Actor))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SHARD\tREGIONS\tNODES\tIN FLIGHT\tLAST PLAN")
	for _, s := range x.Shards {
		regions, last := strings.Join(s.Regions, ","), "none yet"
		if s.Name == x.Rest {
			regions = strings.TrimPrefix(regions+" and the rest", " and ")
		}
		if s.LastPlan > 0 {
			last = fmt.Sprint(s.LastPlan)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\n", s.Name, logline.Plain(regions), s.Nodes, s.InFlight, last)
	}
	return t.Flush()
}
