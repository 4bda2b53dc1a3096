package render_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func explained(t *testing.T, x explain.Explanation, o render.ExplainOptions) string {
	t.Helper()
	var b strings.Builder
	if err := render.Explanation(&b, x, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func explanation() explain.Explanation {
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	held := explain.Pending{Action: fleet.Action{Type: fleet.EnrollNode, ID: "n1"}, State: explain.Held, Reason: "paused", Detail: strings.Repeat("word ", 30), Attempt: 1}
	x := explain.Explanation{
		Subject: explain.Subject{Kind: explain.KindNode, Node: "n1"}, Sequence: 120, Now: noon, Verdict: "is \x1b[2Jheld\r\nhere",
		Inventory: &explain.Inventory{Generation: 2, Sequence: 7, Actor: "kim\x1b[31m"},
		Node:      &explain.Node{ID: "n1", Region: "nyc", Epoch: 1, Absence: explain.WhyNeverSeen, Unsigned: explain.WhyNeverIssued},
		Pending:   []explain.Pending{held},
	}
	for i := range 30 {
		x.Steps = append(x.Steps, explain.Step{Sequence: uint64(i + 91), Time: noon, Type: events.TypeNodeLost, Says: strings.Repeat("a long word ", 9), Changed: []explain.Change{{What: "note", From: "a\x1bb", To: "c"}}})
	}
	return x
}

func TestAnExplanationFitsTheTerminal(t *testing.T) {
	for _, width := range []int{80, 120} {
		for _, colour := range []bool{false, true} {
			text := explained(t, explanation(), render.ExplainOptions{Options: render.Options{Colour: colour}, Width: width})
			for line := range strings.Lines(text) {
				line = strings.TrimRight(line, "\n")
				for _, code := range []string{render.Red, render.Green, render.Yellow, render.Magenta, render.Bold, "0"} {
					line = strings.ReplaceAll(line, "\x1b["+code+"m", "")
				}
				if n := utf8.RuneCountInString(line); n > width || strings.HasSuffix(line, " ") {
					t.Errorf("%d columns of %d: %q", n, width, line)
				}
			}
		}
	}
}

func TestAnExplanationKeepsWhatOthersWroteFromTheScreen(t *testing.T) {
	text := explained(t, explanation(), render.ExplainOptions{})
	if strings.ContainsAny(text, "\x1b\r") || !strings.Contains(text, "node n1: is \uFFFD[2Jheld\uFFFD\uFFFDhere\n") {
		t.Errorf("got:\n%q", text[:200])
	}
}

func TestAnExplanationShowsTheNewestSteps(t *testing.T) {
	text := explained(t, explanation(), render.ExplainOptions{MaxSteps: 2})
	if !strings.Contains(text, "28 earlier steps not shown\n2026-06-01\n119  12:00:00  · node.lost  a long") || strings.Contains(text, "118 ") {
		t.Errorf("got:\n%s", text)
	}
}
