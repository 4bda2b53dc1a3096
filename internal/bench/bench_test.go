package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestNamesChooseRows(t *testing.T) {
	for _, c := range []struct {
		name, row string
		want      bool
	}{
		{"engine/full/10", "engine/full/10", true},
		{"engine/full/10", "engine/full/100", false},
		{"engine/full", "engine/full/100", true},
		{"engine/full/", "engine/full/100", true},
		{"engine", "engine/full/100", true},
		{"eng", "engine/full/100", false},
		{"*/full/10*", "engine/full/100", true},
		{"loop/*", "loop/latency/p50", false},
		{"[", "loop/latency/p50", false},
	} {
		if got := matches(c.name, c.row); got != c.want {
			t.Errorf("%q chooses %q: %v, want %v", c.name, c.row, got, c.want)
		}
	}
}

func TestEveryRowHasItsOwnNameUnitAndHelp(t *testing.T) {
	seen := make(map[string]bool)
	for _, b := range All() {
		for _, r := range b.Rows {
			if seen[r.Name] || r.Unit == "" || r.Help == "" {
				t.Errorf("row %q stands twice, or has no unit or no help", r.Name)
			}
			seen[r.Name] = true
		}
	}
}

func TestAnUnknownNameIsRefusedBeforeAnythingIsMeasured(t *testing.T) {
	started := 0
	_, err := Run(t.Context(), Options{Names: []string{"engine/full/10", "nonsense"}, Started: func(Benchmark) { started++ }})
	if u := (*UnknownError)(nil); !errors.As(err, &u) || u.Name != "nonsense" || started > 0 {
		t.Errorf("error is %v after %d benchmarks", err, started)
	}
}

func TestOnlyWhatWasAskedForIsReported(t *testing.T) {
	results, err := Run(t.Context(), Options{Names: []string{"engine/full/10", "engine/full/100"}, Quick: true, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || results[0].Name != "engine/full/10" || results[1].Name != "engine/full/100" {
		t.Fatalf("results are %+v", results)
	}
	for _, r := range results {
		if r.Value <= 0 || r.N <= 0 || r.Floor != nil || r.Ratio != nil {
			t.Errorf("%+v has no value, or a floor that nobody measured", r)
		}
	}
}

// Each benchmark that needs a server is run once, small, so that the command
// still measures something when the product has changed.
func TestBenchmarksRunAndLeaveNothingBehind(t *testing.T) {
	for _, name := range []string{"fold/jetstream", "loop", "executor"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			results, err := Run(t.Context(), Options{Names: []string{name}, once: true, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if len(results) == 0 {
				t.Fatal("nothing was measured")
			}
			for _, r := range results {
				if r.Floor == nil || *r.Floor <= 0 || r.Value <= 0 {
					t.Errorf("%+v has no value or no floor", r)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// What a planner knows of a fleet is made, asked and read back, small.
func TestAStandingFleetIsMeasured(t *testing.T) {
	for name, rows := range map[string]int{"engine/incremental/1000": 1, "memory/1000": 1, "restart/1000": 2} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			results, err := Run(t.Context(), Options{Names: []string{name}, once: true, Dir: dir, Planner: ownPlanner(t)})
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != rows {
				t.Errorf("results are %+v", results)
			}
			for _, r := range results {
				if r.Value <= 0 {
					t.Errorf("%+v has no value", r)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestARunThatIsInterruptedEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	_, err := Run(ctx, Options{Names: []string{"loop/latency"}, Quick: true, Dir: dir, Started: func(Benchmark) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBoundsAreOfValueOrRatio(t *testing.T) {
	half := 0.5
	slow, fast := Result{Value: 300}, Result{Value: 100, Ratio: &half}
	for _, c := range []struct {
		says  string
		bound Bound
		of    Result
		want  bool
	}{
		{"no bound", Bound{}, slow, true},
		{"at most, above", atMost(200, 100), slow, false},
		{"at most, below", atMost(200, 100), fast, true},
		{"at least, above", atLeast(200, 100), slow, true},
		{"at least, below", atLeast(200, 100), fast, false},
		{"at least of the floor, reached", ratioAtLeast(0.5, 1), fast, true},
		{"at least of the floor, short", ratioAtLeast(0.6, 1), fast, false},
		{"of a floor that was not measured", ratioAtLeast(0.1, 1), slow, false},
	} {
		if got := c.bound.Met(c.of); got != c.want {
			t.Errorf("%s: met is %v", c.says, got)
		}
	}
}

func TestWhatIsShortIsMarked(t *testing.T) {
	floor, ratio := 1000.0, 0.25
	var b bytes.Buffer
	row := Row{Name: "executor/phase", Unit: "actions/s", Bound: ratioAtLeast(5, 5)}
	if err := WriteResult(&b, row, Result{Name: row.Name, Unit: row.Unit, Value: 250, Floor: &floor, Ratio: &ratio, N: 12_000}); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(strings.Fields(b.String()), " "), "executor/phase 250 actions/s 1000 0.25 >=5x 12k short"; got != want {
		t.Errorf("line is %q, want %q", got, want)
	}
}
