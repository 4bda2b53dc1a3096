package growth_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/bench"
	"github.com/fleetfold/fleetfold/internal/bench/growth"
)

var rewrite = flag.Bool("rewrite", false, "write the table and the picture of docs/performance.md from docs/performance.json")

const (
	docs  = "../../../docs/"
	begin = "<!-- results: written by make performance -->\n"
	end   = "<!-- end of results -->\n"
)

// The page shows what was measured, and nothing that was not: its table and its
// picture are those of the results beside it, under the bounds of today.
func TestThePageShowsItsResults(t *testing.T) {
	kept, err := os.Open(docs + "performance.json")
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	report, err := bench.ReadReport(kept)
	if err != nil {
		t.Fatal(err)
	}
	var table, picture bytes.Buffer
	if err := bench.WriteMarkdown(&table, report); err != nil {
		t.Fatal(err)
	}
	if err := growth.WriteSVG(&picture, bench.Rows(), report.Results); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(docs + "performance.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("docs/performance.md has no place for results between %q and %q", begin, end)
	}
	for file, want := range map[string]string{"performance.md": before + begin + "\n" + table.String() + "\n" + end + after, "performance.svg": picture.String()} {
		check(t, docs+file, want)
	}
}

func check(t *testing.T, file, want string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != want {
		t.Errorf("%s is not what performance.json says (%v): run 'make performance', or this test with -rewrite", file, err)
	}
}
