package projection_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/fleetfold/fleetfold/internal/explained"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// explainStories are where each story of testdata/stories is explained: in a file
// of its name. "explain" stands for the whole story; see `go test -rewrite`.
const explainStories = "testdata/explain"

// TestEveryStoryIsExplained explains all nodes, all actions and enforcement at the
// end of each story, and checks the explanations after each of its parts.
func TestEveryStoryIsExplained(t *testing.T) {
	stories, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range stories {
		golden := filepath.Join(explainStories, filepath.Base(path))
		if _, err := os.Stat(golden); err != nil {
			t.Errorf("a story is not explained: write \"explain\\n----\\n\" to %s and run this with -rewrite", golden)
			continue
		}
		parts := partsOf(t, path)
		t.Run(filepath.Base(path), func(t *testing.T) {
			for i := range parts {
				newTale(parts[:i+1]).check(t)
			}
			datadriven.RunTest(t, golden, func(t *testing.T, _ *datadriven.TestData) string { return newTale(parts).text(t) })
		})
	}
}

// partsOf are the events of each "apply" of a story.
func partsOf(t *testing.T, path string) (parts [][]string) {
	datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "apply" {
			parts = append(parts, lines(d.Input))
		}
		return d.Expected
	})
	return parts
}

// tale is a story as a log. Its inventories have no texts: the first that is
// applied asks for everybody that it tells of, and for signatures; each other one
// for everybody but the first, and for none.
type tale struct {
	records []eventlog.Record
	ids     []fleet.NodeID
	first   string
}

func newTale(parts [][]string) *tale {
	s := &tale{}
	for _, part := range parts {
		for _, text := range part {
			seq := uint64(len(s.records) + 1)
			m := message{seq: seq, at: storedAt(seq), event: parseLine(text).event()}
			m.fits = fits(m.event)
			s.see(m.event)
			s.records = append(s.records, m.record())
		}
	}
	return s
}

func (s *tale) see(e *events.Event) {
	if e == nil {
		return
	}
	if e.Node != "" && !slices.Contains(s.ids, e.Node) {
		s.ids = append(s.ids, e.Node)
	}
	if d, ok := e.Data.(*events.InventoryApplied); ok && s.first == "" {
		s.first = d.Digest
	}
}

func (s *tale) inventory(digest string) (*fleet.Inventory, error) {
	inv := &fleet.Inventory{Regions: []fleet.Region{{Name: "nyc"}}, QuorumWidth: 1, RequireSig: digest == s.first}
	for i, id := range s.ids {
		if i > 0 || digest == s.first {
			inv.Regions[0].Nodes = append(inv.Regions[0].Nodes, fleet.Node{ID: id})
		}
	}
	return inv, nil
}

func (s *tale) now() time.Time { return storedAt(uint64(len(s.records)) + 1) }

func (s *tale) check(t *testing.T) {
	wrong, err := explained.Check(s.records, subjects, s.inventory, s.now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Errorf("at %d: %s", len(s.records), w)
	}
}

// text is what a person reads of all of it.
func (s *tale) text(t *testing.T) string {
	var b bytes.Buffer
	for i, subject := range s.subjects() {
		e := explain.New(subject, subjects, s.inventory)
		for _, r := range s.records {
			if err := e.Follow(r); err != nil {
				t.Fatal(err)
			}
		}
		if i > 0 {
			fmt.Fprintf(&b, "\n%s\n\n", strings.Repeat("-", 40))
		}
		if err := render.Explanation(&b, e.Explain(s.now()), render.ExplainOptions{Width: 100}); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func (s *tale) subjects() []explain.Subject {
	all := []explain.Subject{{Kind: explain.KindStrict}}
	for _, id := range s.ids {
		all = append(all, explain.Subject{Kind: explain.KindNode, Node: id})
	}
	for _, r := range s.records {
		if r.Event == nil {
			continue
		}
		if d, ok := r.Event.Data.(*events.ActionRequested); ok {
			f := explain.Found{Action: fleet.Action{Type: d.Type, ID: d.ID}, ActionID: d.Action}
			if !slices.Contains(all, f.Subject()) {
				all = append(all, f.Subject())
			}
		}
	}
	return all
}
