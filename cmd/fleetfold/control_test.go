package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// A fleet of seven is to become a fleet of one. Nobody is removed until a person
// has looked, and has approved exactly that.
func TestAMassRemovalWaitsForApproval(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e", "f", "g"}
	p := startUp(t, fleetOf(true, all...))
	p.event("enforcement.enabled", "")
	p.run("wait", "--for", "converged", "--timeout", "30s")

	p.write(fleetOf(true, "a"))
	p.event("inventory.applied", "")
	s := p.status()
	if len(s.Held) != 6 || s.Held[0].Reason != engine.ReasonRemovalBudget || s.Held[0].Type != fleet.DecommissionNode {
		t.Fatalf("held %+v", s.Held)
	}
	text := p.run("status")
	id := regexp.MustCompile(`approve with: fleetfold approve (removal-[0-9a-f]+)`).FindStringSubmatch(text)
	if id == nil || !strings.Contains(text, "6 actions held by a safeguard") {
		t.Fatalf("status says:\n%s", text)
	}
	out, err := fleetfold(t.Context(), "approve", "removal-0", "--nats", p.url).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "hint: "+id[1]+" waits: the removal of 6 nodes: ") {
		t.Errorf("approving something else: %v\n%s", err, out)
	}
	if said := p.run("approve", id[1], "-m", "old racks"); !strings.HasPrefix(said, "approved the removal of 6 nodes: ") {
		t.Errorf("approve said %q", said)
	}
	data := p.event("plan.approved", "")["data"].(map[string]any)
	if data["approval"] != id[1] || data["note"] != "old racks" {
		t.Errorf("the approval says %v", data)
	}
	for range 6 {
		p.event("node.removed", "")
	}
	p.run("wait", "--for", "converged", "--timeout", "30s")
	out, err = fleetfold(t.Context(), "approve", id[1], "--nats", p.url).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nothing waits for approval") {
		t.Errorf("approving again: %v\n%s", err, out)
	}
}

func TestAPausedRegionWaitsUntilItIsResumed(t *testing.T) {
	p := startUp(t, fleetOf(false, "a"))
	p.run("wait", "--for", "converged", "--timeout", "30s")
	for i, want := range []string{"paused region nyc\n", "region nyc is paused already\n"} {
		if said := p.run("pause", "--region", "nyc", "-m", "works"); said != want {
			t.Errorf("pause %d said %q", i+1, said)
		}
	}
	p.event("control.paused", "")
	p.write(fleetOf(false, "a", "b"))
	p.event("inventory.applied", "")
	s := p.status()
	if len(s.Held) != 1 || s.Held[0].Reason != engine.ReasonPaused || len(s.Paused) != 1 || s.Paused[0].Region != "nyc" {
		t.Errorf("held %+v, paused %+v", s.Held, s.Paused)
	}
	if text := p.run("status"); !strings.Contains(text, "paused       region nyc by ") || !strings.Contains(text, ": works\n") {
		t.Errorf("status says:\n%s", text)
	}
	if said := p.run("resume", "--region", "nyc"); said != "resumed region nyc\n" {
		t.Errorf("resume said %q", said)
	}
	p.event("control.resumed", "")
	p.event("node.appeared", "b")
	if said := p.run("resume"); said != "the fleet is not paused\n" {
		t.Errorf("resume again said %q", said)
	}
}

// A pause of a name that nobody has is most likely a misspelled one, and would be
// believed in.
func TestAPauseThatCoversNobodyIsWarnedOf(t *testing.T) {
	p := startUp(t, fleetOf(false, "a"))
	p.run("wait", "--for", "converged", "--timeout", "30s")
	for _, c := range []struct {
		flag, name string
		warned     bool
	}{{"--region", "nyc", false}, {"--region", "nyk", true}, {"--node", "a", false}, {"--node", "b", true}} {
		out, err := fleetfold(t.Context(), "pause", c.flag, c.name, "--nats", p.url).CombinedOutput()
		if err != nil || strings.Contains(string(out), "covers no node now") != c.warned || !strings.HasPrefix(string(out), "paused ") {
			t.Errorf("pause %s %s: %v\n%s", c.flag, c.name, err, out)
		}
	}
}
