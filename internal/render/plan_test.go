package render_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

var everything = fleet.Plan{Actions: []fleet.Action{
	{Type: fleet.EnrollNode, ID: "node-1"},
	{Type: fleet.IssueCredential, ID: "region/nyc/node-2"},
	{Type: fleet.DecommissionNode, ID: "-rf"},
	{Type: fleet.DisableStrictEnforcement},
	{Type: fleet.EnableStrictEnforcement},
}}

func plan(t *testing.T, p fleet.Plan, blockers []engine.Blocker, o render.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := render.Plan(&b, p, blockers, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAPlanIsReadAtAGlance(t *testing.T) {
	want := `+ EnrollNode                node-1
~ IssueCredential           region/nyc/node-2
- DecommissionNode          -rf
! DisableStrictEnforcement  (the inventory does not ask for signatures)
! EnableStrictEnforcement   (every desired node is present and can sign)

Plan: 5 actions: 1 node to enroll, 1 credential to issue, 1 node to decommission, enforcement to relax, enforcement to become strict.
`
	if got := plan(t, everything, nil, render.Options{}); got != want {
		t.Errorf("got\n%s", got)
	}
	if got := plan(t, fleet.Plan{}, nil, render.Options{}); got != "Nothing to do: the fleet is as the inventory asks.\n" {
		t.Errorf("empty: got\n%s", got)
	}
}

func TestColoursChangeNothingButTheColour(t *testing.T) {
	blockers := []engine.Blocker{{ID: "node-1", Why: engine.WhyAbsent}}
	coloured := plan(t, everything, blockers, render.Options{Colour: true})
	for _, want := range []string{"\x1b[32m+\x1b[0m ", "\x1b[33m~\x1b[0m ", "\x1b[31m-\x1b[0m ", "\x1b[35m!\x1b[0m Enable", "\x1b[35m!\x1b[0m strict", "\x1b[1mPlan: "} {
		if !strings.Contains(coloured, want) {
			t.Errorf("no %q in\n%q", want, coloured)
		}
	}
	bare := strings.NewReplacer("\x1b[0m", "", "\x1b[1m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[35m", "").Replace(coloured)
	if want := plan(t, everything, blockers, render.Options{}); bare != want {
		t.Errorf("got\n%s\nwant\n%s", bare, want)
	}
}

func TestManyBlockersAreCountedAndTheFirstNamed(t *testing.T) {
	var blockers []engine.Blocker
	for i := range 12 {
		blockers = append(blockers, engine.Blocker{ID: fleet.NodeID(fmt.Sprintf("node-%d", i)), Why: engine.WhyCannotSign})
	}
	got := plan(t, fleet.Plan{}, blockers, render.Options{})
	for _, want := range []string{"withheld: 12 nodes block it\n", "    node-9  cannot sign\n    and 2 more\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := plan(t, fleet.Plan{}, blockers[:10], render.Options{}); strings.Contains(got, "more") {
		t.Errorf("ten are all named, got\n%s", got)
	}
	want := "\n! strict enforcement is wanted but withheld: 1 node blocks it\n    node-0  cannot sign\n"
	if got := plan(t, fleet.Plan{}, blockers[:1], render.Options{MaxBlockers: 1}); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s", got)
	}
}

func TestEveryActionTypeHasASymbol(t *testing.T) {
	for _, typ := range fleet.ActionTypes {
		if symbol, colour := render.Action(typ); symbol == "?" || colour == "" {
			t.Errorf("%s: symbol %q, colour %q", typ, symbol, colour)
		}
	}
	if symbol, colour := render.Action("Dance"); symbol != "?" || colour != "" {
		t.Errorf("unknown: symbol %q, colour %q", symbol, colour)
	}
}

var errFull = errors.New("disk is full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestTheErrorOfWritingComesBack(t *testing.T) {
	if err := render.Plan(full{}, everything, nil, render.Options{}); !errors.Is(err, errFull) {
		t.Errorf("Plan: %v", err)
	}
	if err := render.JSON(full{}, everything); !errors.Is(err, errFull) {
		t.Errorf("JSON: %v", err)
	}
}

func TestOnlyATerminalIsColoured(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if render.Colour(f) || render.Colour(&bytes.Buffer{}) {
		t.Error("a file or a buffer would be coloured")
	}
	if got := render.Paint("", "x") + render.Paint(render.Red, ""); got != "x" {
		t.Errorf("painted nothing: %q", got)
	}
}

func TestJSONKeepsTextAsItIs(t *testing.T) {
	var b bytes.Buffer
	if err := render.JSON(&b, map[string]string{"a": "<stdin> & more"}); err != nil || b.String() != "{\n  \"a\": \"<stdin> & more\"\n}\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		render.Count(0, "node"):   "0 nodes",
		render.Count(1, "node"):   "1 node",
		render.Posture(true):      "strict",
		render.Posture(false):     "permissive",
		render.Paint("32", "yes"): "\x1b[32myes\x1b[0m",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
