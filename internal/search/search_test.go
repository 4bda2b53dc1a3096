package search

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the stories of the guards to testdata")

// depths are how far each world is searched, so that all of them together take
// some seconds. SEARCH_DEPTH makes the smaller ones larger.
var depths = map[string]int{
	"lose": 8, "flip": 7, "relax": 10, "replace": 10, "grow": 12, "first": 20,
	"pause": 10, "blind": 7, "quorum": 8, "approve": 7,
}

func depthOf(t *testing.T, m *Model) int {
	t.Helper()
	depth, known := depths[m.Name]
	if !known {
		t.Fatalf("world %q has no depth", m.Name)
	}
	if text := os.Getenv("SEARCH_DEPTH"); text != "" {
		wanted, err := strconv.Atoi(text)
		if err != nil || wanted < 1 {
			t.Fatalf("SEARCH_DEPTH is %q, must be a number above 0", text)
		}
		depth = max(depth, wanted)
	}
	return depth
}

func TestPromisesHoldInEveryState(t *testing.T) {
	stored := make(chan map[string]int, len(Worlds()))
	t.Run("worlds", func(t *testing.T) {
		for _, m := range Worlds() {
			t.Run(m.Name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				r := m.Search(depthOf(t, m))
				t.Logf("%s: at most %d changes and %d faults: %d states, %d steps, %d folds, to depth %d, complete %v, in %s",
					m.About, m.Changes, m.Faults, r.States, r.Steps, r.Folds, r.Depth, r.Complete, time.Since(began).Round(time.Millisecond))
				if r.Story != nil {
					t.Errorf("a promise is broken\n%s", r.Story)
				}
				stored <- r.Stored
			})
		}
	})
	close(stored)
	total := make(map[string]int)
	for counts := range stored {
		for what, n := range counts {
			total[what] += n
		}
	}
	for _, needed := range reached {
		if total[needed] == 0 {
			t.Errorf("no step put %q on the log: the worlds or the depth are too small to mean anything", needed)
		}
	}
}

// reached is what a search must have seen for its silence to mean anything.
var reached = []string{
	"node.appeared", "node.lost", "node.removed", "credential.issued", "credential.proved", "credential.revoked",
	"inventory.applied", "plan.decided", "enforcement.enabled", "enforcement.disabled",
	"action.succeeded EnrollNode", "action.succeeded IssueCredential", "action.succeeded DecommissionNode",
	"action.succeeded DisableStrictEnforcement", "action.succeeded EnableStrictEnforcement",
	"action.failed EnrollNode", "action.failed IssueCredential", "action.failed DecommissionNode",
	"action.refused EnrollNode", "action.refused IssueCredential", "action.refused DecommissionNode",
	"action.refused DisableStrictEnforcement", "action.refused EnableStrictEnforcement",
	"control.paused", "control.resumed", "plan.approved",
	"held paused", "held blind_fleet", "held quorum", "held removal_budget",
}

// gates say in which world, and by which promise, a missing guard shows.
var gates = []struct {
	guard          Guard
	world, promise string
}{
	{PlanFence, "replace", "once"},
	{WholePlan, "replace", "once"},
	{AtomicBatch, "replace", "plans whole"},
	{DecideAgain, "lose", "flip"},
	{ConditionalFlip, "lose", "flip"},
	{RecordedRefusal, "relax", "once"},
	{OutcomeFence, "replace", "once"},
	{PhaseBarrier, "replace", "order"},
	{PlannerHold, "quorum", "held"},
	{ExecutorHold, "pause", "held"},
}

func TestEveryGuardIsNeeded(t *testing.T) {
	gated := make(map[Guard]bool)
	for _, g := range gates {
		gated[g.guard] = true
		t.Run(strings.ReplaceAll(g.guard.String(), " ", "-"), func(t *testing.T) {
			m := world(t, g.world)
			m.Without = g.guard
			r := m.Search(depths[g.world])
			if r.Story == nil {
				t.Fatalf("without %s nothing breaks in %d states: either the guard is of no use, or the search is blind", g.guard, r.States)
			}
			if !strings.HasPrefix(r.Story.Broken, g.promise+":") {
				t.Errorf("broke %q, expected the promise %q", r.Story.Broken, g.promise)
			}
			t.Logf("%s, without %s (%d states)\n%s", m.About, g.guard, r.States, r.Story)
			golden(t, "without "+g.guard.String()+"\n"+m.About+"\n\n"+r.Story.String())
		})
	}
	for _, g := range Guards {
		if !gated[g] {
			t.Errorf("no gate for %s", g)
		}
	}
}

// Each reason to hold is one that the search would miss.
func TestEveryHoldIsNeeded(t *testing.T) {
	for _, c := range []struct {
		guard       Guard
		world, want string
	}{
		{PlannerHold, "pause", "the fleet is paused"},
		{PlannerHold, "quorum", "0 desired nodes sign"},
		{PlannerHold, "blind", "2 of 2 desired nodes are lost"},
		{PlannerHold, "approve", "the removal of 1 of 2 nodes is not approved"},
		{ExecutorHold, "pause", "the fleet is paused"},
		{ExecutorHold, "quorum", "0 desired nodes sign"},
		{ExecutorHold, "blind", "2 of 2 desired nodes are lost"},
		{ExecutorHold, "approve", "the removal of 1 of 2 nodes is not approved"},
	} {
		t.Run(c.guard.String()+" "+c.world, func(t *testing.T) {
			m := world(t, c.world)
			m.Without = c.guard
			if c.world != "pause" {
				m.Pausable = nil // one reason at a time
			}
			if c.world != "blind" {
				m.Safeguards.BlindMin = len(ids) + 1
			}
			r := m.Search(depths[c.world])
			if r.Story == nil || !strings.HasPrefix(r.Story.Broken, "held:") || !strings.HasSuffix(r.Story.Broken, c.want) {
				t.Errorf("in %d states, the story is not that %s:\n%v", r.States, c.want, r.Story)
			}
		})
	}
}

func world(t *testing.T, name string) *Model {
	t.Helper()
	for _, m := range Worlds() {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no world %q", name)
	return nil
}

// golden compares with the story in testdata, so that it can be read there.
func golden(t *testing.T, got string) {
	t.Helper()
	file := filepath.Join("testdata", filepath.Base(t.Name())+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the story changed (go test -update writes it anew):\n%s", diff)
	}
}
