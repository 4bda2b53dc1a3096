package engine_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// corpusCase is one line of the reference corpus.
type corpusCase struct {
	Desired struct {
		Regions []struct {
			Name  string         `json:"name"`
			Nodes []fleet.NodeID `json:"nodes"`
		} `json:"regions"`
		RequireSig bool `json:"require_sig"`
	} `json:"desired"`
	Observed fleet.ObservedState `json:"observed"`
	Actions  []fleet.Action      `json:"actions"`
}

func (c corpusCase) inventory() *fleet.Inventory {
	inv := &fleet.Inventory{RequireSig: c.Desired.RequireSig}
	for _, region := range c.Desired.Regions {
		r := fleet.Region{Name: region.Name}
		for _, id := range region.Nodes {
			r.Nodes = append(r.Nodes, fleet.Node{ID: id})
		}
		inv.Regions = append(inv.Regions, r)
	}
	return inv
}

// TestCorpus holds Reconcile to the reference corpus, line by line and in
// order. One Reconciler decides all of it, so nothing may leak from one case
// to the next.
func TestCorpus(t *testing.T) {
	f, err := os.Open("testdata/corpus/reconcile.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	var shared engine.Reconciler
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	count := 0
	for lines.Scan() {
		count++
		checkCorpusCase(t, &shared, count, lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if want := 671; count != want {
		t.Errorf("corpus has %d cases, want %d", count, want)
	}
}

func checkCorpusCase(t *testing.T, shared *engine.Reconciler, line int, text []byte) {
	t.Helper()
	var c, pristine corpusCase
	for _, into := range []*corpusCase{&c, &pristine} {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("line %d: %v", line, err)
		}
	}
	desired := c.inventory()
	plan := engine.Reconcile(desired, &c.Observed)
	if diff := cmp.Diff(c.Actions, plan.Actions, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("line %d: Reconcile (-want +got):\n%s", line, diff)
	}
	if diff := cmp.Diff(plan, shared.Reconcile(desired, &c.Observed)); diff != "" {
		t.Errorf("line %d: Reconciler differs from Reconcile:\n%s", line, diff)
	}
	if plan.Empty() && plan.Actions != nil {
		t.Errorf("line %d: the actions of an empty plan are not nil", line)
	}
	if diff := cmp.Diff(pristine.inventory(), desired); diff != "" {
		t.Errorf("line %d: the inventory was changed:\n%s", line, diff)
	}
	if diff := cmp.Diff(pristine.Observed, c.Observed); diff != "" {
		t.Errorf("line %d: the observed state was changed:\n%s", line, diff)
	}
}
