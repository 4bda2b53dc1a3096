package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/listing"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
)

// A fleet that runs with a file takes what is applied by hand, and lets the new
// nodes in, on a server that asks who they are.
func TestASecureFleetTakesWhatIsApplied(t *testing.T) {
	p := startUp(t, fleetOf(true, "a"), "--secure")
	p.event("enforcement.enabled", "")
	file := filepath.Join(t.TempDir(), "by-hand.yaml")
	if err := os.WriteFile(file, []byte(fleetOf(true, "a", "b")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := p.run("apply", file, "--yes", "--wait", "--timeout", "50s"); !strings.Contains(out, "applied "+file+" as generation 2") {
		t.Errorf("apply said\n%s", out)
	}
	p.event("credential.proved", "b")
}

// Whoever watches a list sees each change of it, and ends it by an interrupt.
func TestAWatchedListTellsOfEachChange(t *testing.T) {
	p := startUp(t, fleetOf(false, "a"))
	p.event("credential.proved", "a")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := fleetfold(ctx, "get", "nodes", "--watch", "-o", "jsonl", "--nats", p.url)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	until := func(what string, is func(listing.Event[status.Node]) bool) {
		t.Helper()
		for lines.Scan() {
			var e listing.Event[status.Node]
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			if is(e) {
				return
			}
		}
		t.Fatalf("nothing said that %s", what)
	}
	until("a is there", func(e listing.Event[status.Node]) bool {
		return e.Change == "added" && e.Item.ID == "a" && e.Item.Present
	})
	p.write(fleetOf(false, "a", "b"))
	// How it comes up may be one change or several.
	until("b is there", func(e listing.Event[status.Node]) bool {
		return e.Change != "removed" && e.Item.ID == "b" && e.Item.Present
	})
	p.write(fleetOf(false, "a"))
	until("b is gone", func(e listing.Event[status.Node]) bool { return e.Change == "removed" && e.Item.ID == "b" })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to its end
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("an interrupt ended the list with %v", err)
	}
}

// Of two people who apply at once, one is told who was first, and changes nothing.
func TestApplySaysWhoWasFirst(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	applyTo(ctx, t, server, nothingToDo)

	cmd := &cobra.Command{Use: "apply"}
	var f applyFlags
	f.nats.AddTo(cmd.Flags())
	f.nats.URL = server.URL()
	l, err := follow(ctx, cmd, &f.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	mine := candidate{text: []byte(fleetOf(false, "mine"))}
	mine.inv, _ = inventory.Parse(mine.text)
	mine.digest = inventory.Digest(mine.text)
	shown, err := foresee(ctx, l, mine)
	if err != nil {
		t.Fatal(err)
	}
	applyTo(ctx, t, server, fleetOf(false, "theirs"))
	_, err = f.put(ctx, l, shown, mine.text, planner.Word{Actor: "eve", At: time.Now()})
	if err == nil || !strings.Contains(err.Error(), "ada applied an inventory meanwhile, as generation 2 at sequence 2: nothing was changed") {
		t.Errorf("got %v", err)
	}
	if last, err := l.bus.Log().Last(ctx); err != nil || last != 2 {
		t.Errorf("the log ends at %d, %v", last, err)
	}

	// Shown again, it is applied; and said again, the same is found to be done.
	if shown, err = foresee(ctx, l, mine); err != nil {
		t.Fatal(err)
	}
	word := planner.Word{Actor: "eve", Note: "mine", At: time.Now()}
	at, err := f.put(ctx, l, shown, mine.text, word)
	if err != nil || at != 3 {
		t.Fatalf("applied at %d, %v", at, err)
	}
	if again, err := f.put(ctx, l, shown, mine.text, word); err != nil || again != at {
		t.Errorf("an answer that got lost: %d, %v", again, err)
	}
}

// What a forecast shows is what planners then decide.
func TestAForecastCountsAnewWithTheGeneration(t *testing.T) {
	p := startUp(t, fleetOf(false, "a", "b"))
	p.run("wait", "--for", "converged", "--timeout", "50s")
	file := filepath.Join(t.TempDir(), "next.yaml")
	if err := os.WriteFile(file, []byte(fleetOf(false, "a", "c")), 0o600); err != nil {
		t.Fatal(err)
	}
	var shown struct {
		Plan struct{ Actions []fleet.Action }
	}
	out, err := fleetfold(t.Context(), "diff", file, "-o", "json", "--nats", p.url).Output()
	if cmdErr, ok := err.(interface{ ExitCode() int }); !ok || cmdErr.ExitCode() != exitChanges {
		t.Fatalf("diff ended with %v", err)
	}
	if err := json.Unmarshal(out, &shown); err != nil {
		t.Fatal(err)
	}
	p.run("apply", file, "--yes", "--wait", "--timeout", "50s")
	var plans []status.Plan
	if err := json.Unmarshal([]byte(p.run("get", "plans", "-o", "json")), &plans); err != nil {
		t.Fatal(err)
	}
	var decided []fleet.Action
	for _, plan := range plans {
		for _, a := range plan.Actions {
			if plan.Generation == 2 {
				decided = append(decided, fleet.Action{Type: a.Type, ID: a.ID})
			}
		}
	}
	want := []fleet.Action{{Type: fleet.EnrollNode, ID: "c"}, {Type: fleet.DecommissionNode, ID: "b"}}
	for _, got := range [][]fleet.Action{shown.Plan.Actions, decided} {
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestWhatBlocksAWait(t *testing.T) {
	enroll, remove := fleet.Action{Type: fleet.EnrollNode, ID: "a"}, fleet.Action{Type: fleet.DecommissionNode, ID: "b"}
	held := func(a fleet.Action, r fleet.Reason) fleet.Held { return fleet.Held{Action: a, Reason: r} }
	both := fleet.Plan{Actions: []fleet.Action{enroll, remove}}
	for does, c := range map[string]struct {
		s    status.Status
		want bool
	}{
		"nothing is left":         {status.Status{}, false},
		"something is due":        {status.Status{Plan: both, Held: []fleet.Held{held(remove, engine.ReasonRemovalBudget)}}, false},
		"time ends it":            {status.Status{Plan: both, Held: []fleet.Held{held(enroll, engine.ReasonFlapping), held(remove, engine.ReasonPaused)}}, false},
		"a person ends it":        {status.Status{Plan: both, Held: []fleet.Held{held(enroll, engine.ReasonPaused), held(remove, engine.ReasonRemovalBudget)}}, true},
		"the nodes are away":      {status.Status{Plan: both, Held: []fleet.Held{held(enroll, engine.ReasonBlindFleet), held(remove, engine.ReasonQuorum)}}, true},
		"it failed again":         {status.Status{Plan: both, Stuck: []engine.Stuck{{Action: enroll}}, Held: []fleet.Held{held(remove, engine.ReasonPaused)}}, true},
		"what is stuck is tried":  {status.Status{Plan: fleet.Plan{Actions: []fleet.Action{enroll}}, Stuck: []engine.Stuck{{Action: enroll}}, InFlight: []status.Flight{{Type: enroll.Type, ID: enroll.ID}}}, true},
		"something is under way":  {status.Status{Plan: both, Held: []fleet.Held{held(enroll, engine.ReasonPaused), held(remove, engine.ReasonPaused)}, InFlight: []status.Flight{{Type: fleet.IssueCredential, ID: "c"}}}, false},
		"stuck, another goes on":  {status.Status{Plan: both, Stuck: []engine.Stuck{{Action: enroll}}}, false},
		"only the last one moves": {status.Status{InFlight: []status.Flight{{Type: fleet.IssueCredential, ID: "c"}}}, false},
	} {
		if got := blocked(c.s); got != c.want {
			t.Errorf("%s: %v", does, got)
		}
	}
}

// Nobody is told why there are no words: they are in the middle of a line.
func TestCompletionIsSilentWithoutAFleet(t *testing.T) {
	root := newRoot()
	var out, errs strings.Builder
	root.SetArgs([]string{"__complete", "history", "--nats", "nats://127.0.0.1:1", ""})
	root.SetOut(&out)
	root.SetErr(&errs)
	began := time.Now()
	if code := cli.Run(t.Context(), root); code != 0 || out.String() != ":4\n" || strings.Contains(errs.String(), "connect") {
		t.Errorf("code %d, %q, %q", code, out.String(), errs.String())
	}
	if took := time.Since(began); took > 2*completeWithin {
		t.Errorf("it took %s", took)
	}
}
