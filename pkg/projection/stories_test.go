package projection_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// TestStories tells each file of testdata/stories. The commands:
//
//	apply   folds the events, one a line, and says which count for nothing
//	state   says what is believed now
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		st := story{state: projection.New()}
		datadriven.RunTest(t, path, st.tell)
	})
}

type story struct {
	state *projection.State
	ids   []fleet.NodeID
}

func (st *story) tell(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "apply":
		return st.apply(t, d.Input)
	case "state":
		return tell(st.state, st.ids...)
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return ""
}

func (st *story) apply(t *testing.T, input string) string {
	var b strings.Builder
	for _, text := range lines(input) {
		e := parseLine(text).event()
		if e != nil && e.Node != "" && !slices.Contains(st.ids, e.Node) {
			st.ids = append(st.ids, e.Node)
		}
		ignored := total(st.state)
		apply(t, st.state, e)
		if total(st.state) > ignored {
			fmt.Fprintf(&b, "counts for nothing: %s\n", text)
		}
	}
	if b.Len() == 0 {
		return "ok"
	}
	return b.String()
}

// total is how many messages counted for nothing.
func total(s *projection.State) int {
	n := s.Unfit()
	for _, of := range s.Ignored() {
		n += of
	}
	return n
}
