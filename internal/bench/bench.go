package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Row is one value that a benchmark measures.
type Row struct {
	// Name is made of words with slashes between, such as "loop/latency/p50".
	Name string
	// Unit of the value, such as "ns" or "events/s".
	Unit string
	// Bound is what the value, or its ratio to the floor, must reach.
	Bound Bound
	// Help is one sentence: what is measured, and beside which floor.
	Help string
}

// Bound is what a row must reach. The zero Bound asks for nothing.
type Bound struct {
	// Must and Aim are limits in the row's unit, or of its ratio.
	Must, Aim float64
	// OfRatio says that they limit the ratio to the floor.
	OfRatio bool
	// AtLeast says that more is better; else less is.
	AtLeast bool
	// exact is set where the zero Bound is meant: nothing above 0 will do.
	exact bool
}

// Result is what was measured of one row.
type Result struct {
	Name string `json:"name"`
	// Value is in Unit.
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Floor is the same done bare, in the same unit; null where there is none.
	Floor *float64 `json:"floor"`
	// Ratio of value to floor; null where there is no floor.
	Ratio *float64 `json:"ratio"`
	// N is how many of what was measured went into the value: calls, events,
	// rounds or nodes.
	N int `json:"n"`
}

// Met says whether a result reaches what its row must reach; true where the row
// asks for nothing.
func (b Bound) Met(r Result) bool {
	if b == (Bound{}) {
		return true
	}
	value := r.Value
	if b.OfRatio {
		if r.Ratio == nil {
			return false
		}
		value = *r.Ratio
	}
	if b.AtLeast {
		return value >= b.Must
	}
	return value <= b.Must
}

// Benchmark measures some rows together.
type Benchmark struct {
	Rows []Row
	// Slow says that it is left out of quick runs: it needs a time that cannot
	// be shortened without measuring something else.
	Slow bool
	run  func(ctx context.Context, r *run) error
}

// run is one run of a benchmark.
type run struct {
	effort effort
	// dir is a folder of the benchmark's own, empty at first.
	dir    string
	report func(Result)
	rows   []Row
	wanted func(name string) bool
	// planner makes the command of a planner with those arguments; nil: there is none.
	planner func(args ...string) *exec.Cmd
}

// effort is how much is measured.
type effort int

const (
	full effort = iota
	quick
	// once is as little as can be: for tests of the benchmarks themselves.
	once
)

// pick is the one of three numbers that suits the effort.
func (r *run) pick(full, quick, once int) int { return [...]int{full, quick, once}[r.effort] }

// add reports a value without a floor.
func (r *run) add(name string, value float64, n int) {
	r.result(Result{Name: name, Value: value, N: n})
}

// compare reports a value beside its floor.
func (r *run) compare(name string, value, floor float64, n int) {
	ratio := value / floor
	r.result(Result{Name: name, Value: value, Floor: &floor, Ratio: &ratio, N: n})
}

func (r *run) result(result Result) {
	at := slices.IndexFunc(r.rows, func(row Row) bool { return row.Name == result.Name })
	result.Unit = r.rows[at].Unit
	if r.wanted(result.Name) {
		r.report(result)
	}
}

// wants says whether anybody asked for that row, so that a benchmark of several
// sizes runs no more than those.
func (r *run) wants(name string) bool { return r.wanted(name) }

// Options of Run.
type Options struct {
	// Names choose rows: a name, the beginning of one up to a slash, or a pattern
	// of path.Match. None means all.
	Names []string
	// Quick leaves out what is Slow and measures fewer rounds.
	Quick bool
	// Dir is where folders are made; empty means the system's for temporary files.
	Dir string
	// Planner makes the command of a planner with those arguments, for benchmarks
	// of one that is a process of its own; without it they fail.
	Planner func(args ...string) *exec.Cmd
	// Started is told of each benchmark that begins, Skipped of each that a quick
	// run leaves out, and Measured of each result; nil means that nobody looks.
	Started  func(Benchmark)
	Skipped  func(Benchmark)
	Measured func(Row, Result)

	once bool
}

func (o Options) effort() effort {
	switch {
	case o.once:
		return once
	case o.Quick:
		return quick
	}
	return full
}

// Run runs the benchmarks that the options choose. An error names the
// benchmark; the results are those until then.
func Run(ctx context.Context, o Options) ([]Result, error) {
	chosen, err := o.chosen()
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, b := range chosen {
		if b.Slow && o.Quick {
			if o.Skipped != nil {
				o.Skipped(b)
			}
			continue
		}
		if o.Started != nil {
			o.Started(b)
		}
		if err := o.one(ctx, b, func(r Result) { results = append(results, r) }); err != nil {
			return results, fmt.Errorf("measure %s: %w", b.Name(), err)
		}
	}
	return results, nil
}

func (o Options) one(ctx context.Context, b Benchmark, keep func(Result)) error {
	dir, err := os.MkdirTemp(o.Dir, "fleetfold-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	r := &run{effort: o.effort(), dir: dir, rows: b.Rows, wanted: o.wants, planner: o.Planner}
	r.report = func(result Result) {
		keep(result)
		if o.Measured != nil {
			o.Measured(b.row(result.Name), result)
		}
	}
	return b.run(ctx, r)
}

// Name is what the names of its rows begin with.
func (b Benchmark) Name() string {
	name := b.Rows[0].Name
	for _, r := range b.Rows[1:] {
		for r.Name != name && !strings.HasPrefix(r.Name, name+"/") {
			name = path.Dir(name)
		}
	}
	return name
}

func (b Benchmark) row(name string) Row { return rowOf(b.Rows, name) }

func rowOf(rows []Row, name string) Row {
	return rows[slices.IndexFunc(rows, func(r Row) bool { return r.Name == name })]
}

// UnknownError is a name that chooses no row.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string { return fmt.Sprintf("no benchmark is named %q", e.Name) }

func (o Options) chosen() (chosen []Benchmark, err error) {
	all := All()
	for _, name := range o.Names {
		known := slices.ContainsFunc(all, func(b Benchmark) bool {
			return slices.ContainsFunc(b.Rows, func(r Row) bool { return matches(name, r.Name) })
		})
		if !known {
			return nil, &UnknownError{name}
		}
	}
	for _, b := range all {
		if slices.ContainsFunc(b.Rows, func(r Row) bool { return o.wants(r.Name) }) {
			chosen = append(chosen, b)
		}
	}
	return chosen, nil
}

func (o Options) wants(row string) bool {
	return len(o.Names) == 0 || slices.ContainsFunc(o.Names, func(name string) bool { return matches(name, row) })
}

func matches(name, row string) bool {
	if strings.HasPrefix(row, strings.TrimSuffix(name, "/")+"/") {
		return true
	}
	ok, err := path.Match(name, row)
	return ok && err == nil || name == row
}

// folder makes a folder within the benchmark's own.
func (r *run) folder(name string) (string, error) {
	dir := filepath.Join(r.dir, name)
	return dir, os.Mkdir(dir, 0o700)
}
