package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/status"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]float64{
		"5/s": 5, "5": 5, "0.5/s": 0.5, "30/m": 0.5, "36/h": 0.01, "1000/s": 1000,
		"0/s": 0, "-1/s": 0, "1001/s": 0, "5/d": 0, "fast": 0, "": 0, "NaN": 0, "Inf": 0, "5/s/s": 0,
	} {
		if got, err := parseRate(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
}

// A running fleet renews on demand, and goes on as it was.
func TestARotationRenewsEveryCredential(t *testing.T) {
	p := startUp(t, fleetOf(true, "a", "b", "c"))
	p.event("enforcement.enabled", "")
	p.run("wait", "--for", "converged", "--timeout", "30s")
	before := p.serials()
	said := p.run("rotate", "--all", "--rate", "50/s", "--wait", "--timeout", "60s", "-m", "drill")
	if !strings.HasPrefix(said, "rotating the fleet, 3 nodes: what was issued before sequence ") || !strings.Contains(said, "rotated the fleet\n") {
		t.Errorf("rotate said %q", said)
	}
	data := p.event("rotation.requested", "")["data"].(map[string]any)
	if data["scope"] != "fleet" || data["rate_per_second"] != 50.0 || data["note"] != "drill" {
		t.Errorf("the rotation says %v", data)
	}
	for id, serial := range p.serials() {
		if serial == before[id] || serial == "" {
			t.Errorf("%s has serial %q, it had %q", id, serial, before[id])
		}
	}
	s := p.status()
	if !s.Converged || !s.Observed.StrictEnforced || len(s.Rotations) != 0 {
		t.Errorf("status %+v", s)
	}
	for _, args := range [][]string{
		{"--node", "stranger"}, {"--region", "nowhere"}, {}, {"--all", "--node", "a"}, {"--all", "--rate", "0/s"}, {"--node", "a..b"},
	} {
		out, err := fleetfold(t.Context(), append([]string{"rotate", "--nats", p.url}, args...)...).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "error: ") {
			t.Errorf("rotate %v: %v\n%s", args, err, out)
		}
	}
}

// serials is what each node has proved.
func (p *upProcess) serials() map[string]string {
	p.t.Helper()
	var nodes []status.Node
	if err := json.Unmarshal([]byte(p.run("get", "nodes", "-o", "json")), &nodes); err != nil {
		p.t.Fatal(err)
	}
	serials := make(map[string]string)
	for _, n := range nodes {
		serials[string(n.ID)] = n.Serial
	}
	return serials
}
