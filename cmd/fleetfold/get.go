package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/listing"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func newGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get",
		Short: "List what a running fleet consists of",
		Long: `List what a running fleet consists of: its nodes, the plans that were published, the
actions that are under way or wanted, and what is held.

A template is executed for each item, with the names of Go: 'get nodes -o json' shows
what there is, and .ID, .Region, .Present, .CanSign, .NotAfter are some of a node. With
--watch, jsonl is a line {"change":"added|changed|removed","item":{...}} for each change.`,
		Example: `  fleetfold get nodes --absent
  fleetfold get plans
  fleetfold get actions --watch
  fleetfold get holds -o wide`,
	}
	cmd.AddCommand(newGetNodes(), newGetPlans(), newGetActions(), newGetHolds())
	return cmd
}

// getFlags are those that each kind of list has.
type getFlags struct {
	nats             cli.NATSFlags
	output, template string
	watch            bool
	region           string
}

func (f *getFlags) addTo(cmd *cobra.Command) {
	fs := cmd.Flags()
	f.nats.AddTo(fs)
	fs.StringVarP(&f.output, "output", "o", "table", "output `FORMAT`: "+strings.Join(listing.Formats, ", ")+"; also template={{.ID}}")
	fs.StringVar(&f.template, "template", "", "`TEMPLATE` of Go's text/template for each item, with -o template")
	fs.BoolVarP(&f.watch, "watch", "w", false, "go on with what changes, until interrupted; a terminal shows the whole list each time")
}

func (f *getFlags) addRegion(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.region, "region", "", "only what concerns nodes of the region with this `NAME`")
}

func (f *getFlags) format() (listing.Format, error) {
	format, err := listing.Parse(f.output, f.template)
	if err == nil && f.watch {
		err = listing.CheckWatch(format)
	}
	if err != nil {
		err = cli.Usagef("--output %s: %w", f.output, err)
	}
	return format, err
}

// kind is what a list is of.
type kind[T any] struct {
	// plural of what is listed.
	plural  string
	columns []listing.Column[T]
	key     func(T) string
	// list is what there is now, as far as it was asked for.
	list func(ctx context.Context, l *live, now time.Time) ([]T, error)
	// filtered says that not all of it was asked for.
	filtered func() bool
}

// get writes a list once, or again and again.
func get[T any](cmd *cobra.Command, f *getFlags, k kind[T]) error {
	format, err := f.format()
	if err != nil {
		return err
	}
	l, err := follow(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return err
	}
	defer l.close()
	if f.watch {
		return watch(cmd, l, format, k)
	}
	items, err := k.list(cmd.Context(), l, time.Now())
	if err != nil {
		return err
	}
	if err := fits(listing.Write(cmd.OutOrStdout(), format, k.columns, items)); err != nil {
		return err
	}
	if len(items) == 0 {
		cmd.PrintErrln(none(k))
	}
	return nil
}

// none says that a list is empty.
func none[T any](k kind[T]) string {
	if k.filtered != nil && k.filtered() {
		return "no " + k.plural + " match"
	}
	return "no " + k.plural
}

// fits makes a template that fits nothing a mistake of the call.
func fits(err error) error {
	var t *listing.TemplateError
	if errors.As(err, &t) {
		return cli.WithHint(cli.UsageError(err), "'fleetfold get --help' says what a template sees")
	}
	return err
}

const (
	// showEvery is how often a list that changes all the time is shown anew.
	showEvery = 250 * time.Millisecond
	// lookEvery is how often a list is looked at that time alone may change.
	lookEvery = 5 * time.Second
)

func watch[T any](cmd *cobra.Command, l *live, format listing.Format, k kind[T]) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	items := 0
	w := &listing.Watched[T]{Out: out, Format: format, Columns: k.columns, Key: k.key, Title: func() string {
		return fmt.Sprintf("%s: %d at %s, Ctrl-C ends", cmd.CommandPath(), items, time.Now().Format(time.TimeOnly))
	}}
	for {
		changed := l.view.Changed()
		list, err := k.list(ctx, l, time.Now())
		if err == nil {
			items = len(list)
			err = fits(w.Show(list))
		}
		if err == nil {
			err = l.view.Err()
		}
		if err == nil {
			err = nextLook(ctx, changed)
		}
		if errors.Is(err, context.Canceled) {
			return nil // interrupting is how one ends --watch
		}
		if err != nil {
			return err
		}
	}
}

// nextLook waits for a change, and a moment longer for those that come with it.
func nextLook(ctx context.Context, changed <-chan struct{}) error {
	for _, wait := range []struct {
		change <-chan struct{}
		most   time.Duration
	}{{changed, lookEvery}, {nil, showEvery}} {
		timer := time.NewTimer(wait.most)
		select {
		case <-wait.change:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
	return nil
}

// folded is a list that the fold alone gives.
func folded[T any](list func(st *projection.State, inv *fleet.Inventory, now time.Time) []T, keep func(T) bool) func(context.Context, *live, time.Time) ([]T, error) {
	return func(ctx context.Context, l *live, now time.Time) (items []T, err error) {
		err = read(ctx, l.view, l.inventories.Get, func(st *projection.State, inv *fleet.Inventory) {
			items = items[:0]
			for _, item := range list(st, inv, now) {
				if keep(item) {
					items = append(items, item)
				}
			}
		})
		return items, err
	}
}

func newGetActions() *cobra.Command {
	var f getFlags
	var stuck bool
	cmd := &cobra.Command{
		Use:   "actions",
		Short: "List the actions that are in flight, and those that the plan wants",
		Long: `List the actions that are in flight, and those that the plan wants. The state says why
an action is not under way: due is about to be published, held is held by a safeguard,
waiting waits for time or room, stuck failed again and again and waits for its next
attempt.`,
		Example: `  fleetfold get actions
  fleetfold get actions --stuck -o wide
  fleetfold get actions -o 'template={{.Type}} {{.ID}} {{.State}}'`,
		Args: cobra.NoArgs,
	}
	f.addTo(cmd)
	f.addRegion(cmd)
	cmd.Flags().BoolVar(&stuck, "stuck", false, "only what failed again and again")
	keep := func(a status.Action) bool { return (!stuck || a.Stuck) && (f.region == "" || a.Region == f.region) }
	k := kind[status.Action]{
		plural: "actions", columns: actionColumns, key: func(a status.Action) string { return string(a.Type) + " " + string(a.ID) },
		list: folded(status.Actions, keep), filtered: func() bool { return stuck || f.region != "" },
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return get(cmd, &f, k) }
	return cmd
}

func newGetHolds() *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "holds",
		Short: "List what of the plan is held, and why",
		Long: `List what of the plan is held, and why: first what a safeguard holds, then what waits
for time or room. ARCHITECTURE.md lists the reasons and what ends each of them.`,
		Example: `  fleetfold get holds
  fleetfold get holds --region nyc -o json`,
		Args: cobra.NoArgs,
	}
	f.addTo(cmd)
	f.addRegion(cmd)
	k := kind[status.Hold]{
		plural: "holds", columns: holdColumns, key: func(h status.Hold) string { return string(h.Type) + " " + string(h.ID) },
		list:     folded(status.Holds, func(h status.Hold) bool { return f.region == "" || h.Region == f.region }),
		filtered: func() bool { return f.region != "" },
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return get(cmd, &f, k) }
	return cmd
}
