package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/bench"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/profile"
)

type benchFlags struct {
	output *string
	quick  bool
	list   bool
	dir    string
	cpu    string
	from   []string
	plot   string
}

func newBench() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [NAME...]",
		Short: "Measure this machine: fleetfold beside what the bus can do without it",
		Long: `Measure this machine: fleetfold beside what the bus can do without it.

Most values have a floor: the same messages, batches and acknowledgements through the
NATS client alone, in turns with ours and on the same server. The ratio of the two is
what counts; the numbers themselves are those of this machine today. Servers run in
this process and keep their streams in a folder of their own, which is removed.

A NAME is one of --list, the beginning of one up to a slash, or a pattern in which *
stands for anything up to a slash. Without a name everything is measured, which takes
minutes; --quick takes fewer rounds of the same size and leaves out what cannot be
shortened. Let the machine be idle meanwhile.

--plot draws how what was measured grows with the number of nodes. --from shows and
draws what earlier runs kept with -o json, and measures nothing.`,
		Example: `  fleetfold bench --quick
  fleetfold bench loop engine/full/1000000
  fleetfold bench -o json | jq '.results[] | {name, ratio}'
  fleetfold bench engine --plot growth.svg
  fleetfold bench --from monday.json --from tuesday.json -o markdown`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return benchNames(), cobra.ShellCompDirectiveNoFileComp
		},
		Args: cobra.ArbitraryArgs,
		RunE: f.run,
	}
	f.output = addOutput(cmd.Flags(), "output `FORMAT`", "text", "json", "markdown")
	cmd.Flags().BoolVar(&f.quick, "quick", false, "fewer rounds, and without what takes its time: under 45 s")
	cmd.Flags().BoolVar(&f.list, "list", false, "say what can be measured, and measure nothing")
	cmd.Flags().StringVar(&f.dir, "dir", "", "`DIR` for the streams of the servers; the disk under it is measured, too (default the system's for temporary files)")
	cmd.Flags().StringVar(&f.cpu, "cpuprofile", "", "`FILE` for a processor profile of this process, for 'go tool pprof'")
	cmd.Flags().StringArrayVar(&f.from, "from", nil, "`FILE` with results of an earlier run to show in place of measuring; repeated, the last one counts for what stands in several")
	cmd.Flags().StringVar(&f.plot, "plot", "", "`FILE` for a picture (SVG) of how costs grow with the number of nodes")
	cmd.MarkFlagsMutuallyExclusive("from", "quick")
	cmd.MarkFlagsMutuallyExclusive("from", "dir")
	cmd.MarkFlagsMutuallyExclusive("from", "cpuprofile")
	return cmd
}

func benchNames() (names []string) {
	for _, row := range bench.Rows() {
		names = append(names, row.Name)
	}
	return names
}

func (f *benchFlags) run(cmd *cobra.Command, names []string) error {
	if f.list {
		return listBenchmarks(cmd.OutOrStdout())
	}
	if f.dir != "" {
		if info, err := os.Stat(f.dir); err != nil || !info.IsDir() {
			return cli.Usagef("--dir %q is no folder", f.dir)
		}
	}
	if err := f.plottable(names); err != nil {
		return err
	}
	report, err := f.report(cmd, names)
	if unknown := (*bench.UnknownError)(nil); errors.As(err, &unknown) {
		return cli.WithHint(cli.Usagef("%w", err), "'fleetfold bench --list' has the names")
	}
	if err != nil && len(report.Results) == 0 {
		return err
	}
	return errors.Join(err, f.write(cmd.OutOrStdout(), report), f.draw(report.Results))
}

// report is what is measured, or what was. Results stand in it although there
// is an error.
func (f *benchFlags) report(cmd *cobra.Command, names []string) (bench.Report, error) {
	if len(f.from) > 0 {
		return keptReport(f.from, names)
	}
	results, err := f.profiled(cmd, names)
	return bench.Report{Machine: bench.ThisMachine(), Results: append([]bench.Result{}, results...)}, err
}

func (f *benchFlags) profiled(cmd *cobra.Command, names []string) (results []bench.Result, err error) {
	if f.cpu == "" {
		return f.measure(cmd, names)
	}
	stop, err := profile.CPU(f.cpu)
	if err != nil {
		return nil, err
	}
	results, err = f.measure(cmd, names)
	return results, errors.Join(err, stop())
}

func (f *benchFlags) measure(cmd *cobra.Command, names []string) ([]bench.Result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	o := bench.Options{Names: names, Quick: f.quick, Dir: f.dir, Planner: func(args ...string) *exec.Cmd {
		return exec.Command(self, append([]string{plannerName}, args...)...)
	}}
	progress := benchProgress(cmd.ErrOrStderr())
	o.Started = func(b bench.Benchmark) { progress("measuring " + b.Name()) }
	o.Skipped = func(b bench.Benchmark) {
		fmt.Fprintf(cmd.ErrOrStderr(), "left out of a quick run: %s\n", b.Name())
	}
	if *f.output == "text" {
		table := &benchTable{w: cmd.OutOrStdout(), machine: bench.ThisMachine()}
		o.Measured = func(row bench.Row, r bench.Result) {
			progress("")
			table.write(row, r)
		}
	}
	results, err := bench.Run(cmd.Context(), o)
	progress("")
	return results, err
}

// benchProgress shows on a terminal what is being measured, on one line that the
// next word takes; elsewhere nothing.
func benchProgress(w io.Writer) func(string) {
	file, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return func(string) {}
	}
	return func(text string) { fmt.Fprintf(w, "\r\x1b[K%s", text) }
}

func listBenchmarks(w io.Writer) error {
	for _, row := range bench.Rows() {
		if _, err := fmt.Fprintf(w, "%-25s %-9s %s\n", row.Name, row.Bound, row.Help); err != nil {
			return err
		}
	}
	return nil
}
