package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func (p *upProcess) ca() authority.Status {
	p.t.Helper()
	var st authority.Status
	if err := json.Unmarshal([]byte(p.run("ca", "status", "-o", "json")), &st); err != nil {
		p.t.Fatal(err)
	}
	return st
}

// A root is rotated in a strict fleet, with one region's intermediate under it.
// An enrolled node holds on to the old root, and retiring waits for it by name,
// until it has gone.
func TestARootIsRotatedInAStrictFleet(t *testing.T) {
	inventory := func(ids ...string) string {
		return strings.Replace(fleetOf(true, ids...), "name: nyc\n", "name: nyc\n    intermediate_ca: nyc/ca\n", 1)
	}
	p := startUp(t, inventory("a", "b"))
	p.event("enforcement.enabled", "")
	out, err := fleetfold(t.Context(), "ca", "activate", "--nats", p.url).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no next root is prepared") || !strings.Contains(string(out), "hint: ") {
		t.Errorf("activating nothing: %v\n%s", err, out)
	}
	if said := p.run("ca", "prepare", "-m", "yearly"); !strings.HasPrefix(said, "requested to prepare the root; ") {
		t.Errorf("prepare said %q", said)
	}
	p.event("trust.published", "")
	p.run("ca", "activate")
	p.event("trust.activated", "")
	p.run("ca", "retire")
	held := p.event("trust.rotation-held", "")["data"].(map[string]any)
	if held["reason"] != string(authority.ReasonInUse) || held["nodes_total"] != 2.0 {
		t.Errorf("held: %v", held)
	}
	p.write(inventory("c"))
	retired := p.event("trust.retired", "")["data"].(map[string]any)
	p.run("wait", "--for", "converged", "--timeout", "30s")
	st := p.ca()
	if len(st.Pending) != 0 || slices.ContainsFunc(st.Issuers, func(i authority.IssuerStatus) bool { return i.Fingerprint == retired["fingerprint"] }) {
		t.Errorf("after the old root is retired: %+v", st)
	}
	if st.Desired != 1 || st.Revoked < 1 {
		t.Errorf("status: %+v", st)
	}
	for _, i := range st.Issuers {
		if i.Stage != authority.StageActive || i.Signing != 1 {
			t.Errorf("issuer %+v", i)
		}
	}
	text := p.run("ca", "status")
	for _, want := range []string{"trust domain  fleet.example", "intermediate of region nyc", "active"} {
		if !strings.Contains(text, want) {
			t.Errorf("ca status lacks %q:\n%s", want, text)
		}
	}
}

func TestWhatACAStepWaitsForIsShown(t *testing.T) {
	var b strings.Builder
	err := caText(&b, &authority.Status{TrustDomain: "d", Desired: 3, Pending: []authority.Pending{
		{Step: "activate", Actor: "kim", Note: "yearly", Reason: authority.ReasonBundle, Nodes: []fleet.NodeID{"a", "b"}},
		{Step: "prepare", Region: "nyc", Actor: "kim", Reason: authority.ReasonUnusable, Detail: "no space left"},
		{Step: "prepare", Region: "oslo", Actor: "kim"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"activate of the root, wanted by kim: yearly\n  waits for 2 nodes: bundle_not_reported: a, b\n",
		"prepare of the intermediate of region nyc, wanted by kim\n  waits: issuer_unusable: no space left\n",
		"prepare of the intermediate of region oslo, wanted by kim\n  waits for an executor\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
}
