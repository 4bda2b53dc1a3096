package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/fleetfold/fleetfold/internal/bench"
	"github.com/fleetfold/fleetfold/internal/bench/growth"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// benchTable writes results as they come. Errors of the writer are not looked
// at: a closed pipe ends the process.
type benchTable struct {
	w       io.Writer
	machine bench.Machine
	begun   bool
}

func (t *benchTable) write(row bench.Row, r bench.Result) {
	if !t.begun {
		t.begun = true
		fmt.Fprintln(t.w, t.machine)
		_ = bench.WriteHeading(t.w)
	}
	_ = bench.WriteResult(t.w, row, r)
}

// write prints a report whose lines were not printed as they were measured.
func (f *benchFlags) write(w io.Writer, report bench.Report) error {
	switch *f.output {
	case "json":
		return render.JSON(w, report)
	case "markdown":
		return bench.WriteMarkdown(w, report)
	}
	if len(f.from) == 0 {
		return nil
	}
	table, rows := &benchTable{w: w, machine: report.Machine}, make(map[string]bench.Row)
	for _, row := range bench.Rows() {
		rows[row.Name] = row
	}
	for _, r := range report.Results {
		table.write(rows[r.Name], r)
	}
	return nil
}

// keptReport joins the reports in those files, as far as the names choose.
func keptReport(files, names []string) (bench.Report, error) {
	var reports []bench.Report
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return bench.Report{}, err
		}
		report, err := bench.ReadReport(bytes.NewReader(text))
		if err != nil {
			return bench.Report{}, cli.WithHint(fmt.Errorf("%s: %w", file, err), "'fleetfold bench -o json' of this version writes what --from reads")
		}
		reports = append(reports, report)
	}
	joined, err := bench.Joined(reports...)
	if err != nil {
		return bench.Report{}, err
	}
	return joined.Only(names)
}

// plottable finds out before minutes are spent whether the picture has a place
// and something to show.
func (f *benchFlags) plottable(names []string) error {
	if f.plot == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(f.plot)); err != nil || !info.IsDir() {
		return cli.Usagef("--plot %q: there is no folder %q", f.plot, filepath.Dir(f.plot))
	}
	all := bench.Report{}
	for _, row := range bench.Rows() {
		all.Results = append(all.Results, bench.Result{Name: row.Name, Unit: row.Unit, Value: 1})
	}
	chosen, err := all.Only(names)
	if err == nil && len(growth.Lines(nil, chosen.Results)) == 0 {
		return cli.WithHint(cli.Usagef("--plot: %w", growth.ErrNothingToDraw), "choose names that end in several numbers, such as engine/full")
	}
	return nil // a name that is not known is told with the others
}

func (f *benchFlags) draw(results []bench.Result) error {
	if f.plot == "" || len(results) == 0 {
		return nil
	}
	var svg bytes.Buffer
	if err := growth.WriteSVG(&svg, bench.Rows(), results); err != nil {
		if errors.Is(err, growth.ErrNothingToDraw) {
			return cli.WithHint(fmt.Errorf("--plot: %w", err), "quick runs and --from may leave sizes out")
		}
		return err
	}
	return identity.WriteFileAtomic(f.plot, svg.Bytes(), 0o644)
}
