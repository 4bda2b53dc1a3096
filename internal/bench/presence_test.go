package bench

import (
	"os"
	"strings"
	"testing"
)

// Each benchmark that plays nodes is run once, small.
func TestBenchmarksWithNodesRunAndLeaveNothingBehind(t *testing.T) {
	for name, rows := range map[string]int{"presence/100000": 2, "presence/1000000": 5, "mass": 3, "converge": 3} {
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
				nothing := strings.HasSuffix(r.Name, "/lost") || strings.HasSuffix(r.Name, "/again")
				if nothing && r.Value != 0 || !nothing && r.Value <= 0 {
					t.Errorf("%s is %v", r.Name, r.Value)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestWithoutAPlannerThereIsNothingToMeasure(t *testing.T) {
	_, err := Run(t.Context(), Options{Names: []string{"mass"}, once: true, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "no program") {
		t.Errorf("error is %v", err)
	}
}
