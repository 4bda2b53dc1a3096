package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logfilter"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

type logFlags struct {
	nats         cli.NATSFlags
	output       *string
	selected     selectFlags
	since, until string
	after        uint64
	limit        int
	follow       bool
}

func newLog() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Print the log: every fact, plan, action and outcome in order",
		Long: `Print the log: every fact, plan, action and outcome in order. Several filters together
keep what all of them fit.

--since and --until take a sequence, a time such as 2026-01-02T15:04:05Z, or a duration
back from now such as 2h, and mean what stands there, too. Whoever has read up to a
sequence goes on exactly behind it with --after.`,
		Example: `  fleetfold log --node node-1
  fleetfold log --since 2h --type 'credential.*' --region nyc
  fleetfold log --plan plan-22c959bb
  fleetfold log -n 50 --follow
  fleetfold log --after 1042 -n 500 -o jsonl`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd) }
	fs := cmd.Flags()
	f.nats.AddTo(fs)
	f.output = addOutput(fs, "output `FORMAT`", "text", "jsonl")
	f.selected.addTo(fs)
	fs.StringVar(&f.since, "since", "", "from this `PLACE` on: a sequence, a time, or a duration back")
	fs.StringVar(&f.until, "until", "", "up to this `PLACE`: a sequence, a time, or a duration back")
	fs.Uint64Var(&f.after, "after", 0, "only what is behind the sequence `SEQ`, 0 or more, and that must be there")
	fs.IntVarP(&f.limit, "limit", "n", 0, "the newest `N` that fit, 0 or more, or with --after the first; 0 means all")
	fs.BoolVarP(&f.follow, "follow", "f", false, "go on with what is appended, until interrupted")
	return cmd
}

// check reads what can be wrong without asking anybody.
func (f *logFlags) check(cmd *cobra.Command) (since, until logfilter.Place, err error) {
	now := time.Now()
	for _, p := range []struct {
		name, text string
		into       *logfilter.Place
	}{{"since", f.since, &since}, {"until", f.until, &until}} {
		if p.text == "" {
			continue
		}
		if *p.into, err = logfilter.ParsePlace(p.text, now); err != nil {
			return since, until, cli.Usagef("--%s %q: %w", p.name, p.text, err)
		}
	}
	after := cmd.Flags().Changed("after")
	switch {
	case f.limit < 0:
		err = cli.Usagef("--limit is %d, must be 0 or more", f.limit)
	case after && f.since != "":
		err = cli.Usagef("--after and --since both say where to begin: give one")
	case f.follow && f.until != "":
		err = cli.Usagef("--follow has no end, and --until names one")
	case f.follow && after && f.limit > 0:
		err = cli.Usagef("--follow has no end, and --limit with --after makes one")
	}
	return since, until, err
}

func (f *logFlags) run(cmd *cobra.Command) error {
	since, until, err := f.check(cmd)
	if err != nil {
		return err
	}
	if err := f.selected.check(); err != nil {
		return err
	}
	ctx := cmd.Context()
	bus, err := connect(ctx, cmd, &f.nats)
	if err != nil {
		return err
	}
	defer bus.Close()
	r := logReader{log: bus.Log(), print: f.printer(cmd.OutOrStdout())}
	if r.filter, err = f.selected.filter(ctx, bus); err != nil {
		return err
	}
	last, err := f.history(ctx, cmd, &r, since, until)
	if f.follow && errors.Is(err, context.Canceled) {
		return nil // interrupting is how one ends --follow
	}
	if err != nil {
		return err
	}
	if r.found == 0 && r.filter.Any() {
		cmd.PrintErrln(f.selected.nothing())
	}
	if !f.follow {
		return nil
	}
	err = printLive(ctx, r.log, last, r.take)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// history prints what is there, and returns the sequence that it ended with.
func (f *logFlags) history(ctx context.Context, cmd *cobra.Command, r *logReader, since, until logfilter.Place) (end uint64, err error) {
	if end, err = r.log.Last(ctx); err != nil {
		return 0, err
	}
	if f.after > end {
		return 0, fmt.Errorf("--after %d: the log ends at sequence %d", f.after, end)
	}
	from, to := f.after+1, end
	if !since.IsZero() {
		if from, err = since.First(ctx, r.log, end); err != nil {
			return 0, err
		}
	}
	if !until.IsZero() {
		if to, err = until.Last(ctx, r.log, end); err != nil {
			return 0, err
		}
	}
	from = max(from, r.filter.Begins)
	switch {
	case f.limit > 0 && cmd.Flags().Changed("after"):
		r.most = f.limit
		return end, r.forward(ctx, from, to)
	case f.limit > 0:
		return end, r.newest(ctx, from, to, f.limit)
	}
	return end, r.forward(ctx, from, to)
}

func (f *logFlags) printer(w io.Writer) func([]eventlog.Record) error {
	var columns logline.Columns
	return func(records []eventlog.Record) error {
		columns.See(records)
		return f.write(w, records, &columns)
	}
}

func (f *logFlags) write(w io.Writer, records []eventlog.Record, columns *logline.Columns) error {
	for _, r := range records {
		text := ""
		if *f.output == "text" {
			text = columns.Text(r)
		} else {
			line, err := logline.JSON(r)
			if err != nil {
				return err
			}
			text = string(line)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}

// readPage is how many records are read at a time.
const readPage = 500

// logReader reads a log and prints what fits.
type logReader struct {
	log    eventlog.Log
	filter *logfilter.Filter
	print  func([]eventlog.Record) error
	// most records are printed; 0 means all. found were.
	most, found int
}

// take prints what fits of some records.
func (r *logReader) take(records []eventlog.Record) error {
	records = slices.DeleteFunc(slices.Clone(records), func(x eventlog.Record) bool { return !r.filter.Keep(x) })
	if r.most > 0 {
		records = records[:min(len(records), r.most-r.found)]
	}
	r.found += len(records)
	return r.print(records)
}

// forward reads from one sequence to another.
func (r *logReader) forward(ctx context.Context, from, to uint64) error {
	if from > to {
		return nil
	}
	page := make([]eventlog.Record, 0, readPage)
	for record, err := range eventlog.Through(ctx, r.log, from-1, to) {
		if err != nil {
			return err
		}
		page = append(page, record)
		if len(page) < readPage && record.Sequence < to {
			continue
		}
		if err := r.take(page); err != nil || r.most > 0 && r.found >= r.most {
			return err
		}
		page = page[:0]
	}
	return nil
}

// newest reads backwards, page by page, until there are as many as were asked for.
func (r *logReader) newest(ctx context.Context, from, to uint64, most int) error {
	var kept []eventlog.Record
	for to >= from && len(kept) < most {
		begin := from
		if to-from >= readPage {
			begin = to - readPage + 1
		}
		var page []eventlog.Record
		for next := begin; next <= to; {
			records, err := r.log.Read(ctx, next-1, int(to-next+1))
			if err != nil {
				return fmt.Errorf("read the log after sequence %d: %w", next-1, err)
			}
			if len(records) == 0 {
				break
			}
			page, next = append(page, records...), records[len(records)-1].Sequence+1
		}
		page = slices.DeleteFunc(page, func(x eventlog.Record) bool { return !r.filter.Keep(x) })
		kept = append(page, kept...)
		to = begin - 1
	}
	if len(kept) > most {
		kept = kept[len(kept)-most:]
	}
	return r.take(kept)
}

func printLive(ctx context.Context, log eventlog.Log, after uint64, print func([]eventlog.Record) error) error {
	cursor, err := log.Follow(ctx, after)
	if err != nil {
		return fmt.Errorf("follow the log after sequence %d: %w", after, err)
	}
	defer cursor.Close()
	for {
		records, err := cursor.Next(ctx)
		if err != nil {
			return err
		}
		if err := print(records); err != nil {
			return err
		}
	}
}

// names joins what there is for a message.
func names(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
