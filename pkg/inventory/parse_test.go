package inventory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/google/go-cmp/cmp"
)

// summary is what the tables compare: line, path and tag, without the wording.
func summary(problems []Problem) []string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %s %s", p.Line, strings.TrimPrefix(p.Tag, "inventory_"), p.Path)))
	}
	return lines
}

// oneNode is a valid file around the fields of one node; the first stands on line 5.
func oneNode(fields ...string) string {
	return "trust_domain: t\nregions:\n- name: r\n  nodes:\n  - " +
		strings.Join(fields, "\n    ") + "\nquorum: {width: 1}\nenforcement: {require_sig: false}\n"
}

func TestParseReadsEveryKeyInTheOrderOfTheFile(t *testing.T) {
	inv, rep := Parse(readTestdata(t, "testdata/valid/every-key.yaml"))
	want := &fleet.Inventory{
		TrustDomain: "fleet.example",
		RootCA:      "root/ca",
		Regions: []fleet.Region{{
			Name: "nyc", IntermediateCA: "nyc/ca",
			Nodes: []fleet.Node{
				{ID: "region/nyc/node-1", Attestor: fleet.AttestorMTLSCert, CredTTL: time.Hour, RenewBefore: 15 * time.Minute, Roles: []string{"writer", "reader"}},
				{ID: "007", Attestor: fleet.AttestorNodePlugin, CredTTL: 14 * 24 * time.Hour, RenewBefore: 15 * time.Minute},
			},
		}, {Name: "sfo"}},
		QuorumWidth: 2,
		RequireSig:  true,
	}
	if diff := cmp.Diff(want, inv); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	if len(rep.Errors)+len(rep.Warnings) != 0 {
		t.Errorf("report: %+v", rep)
	}
}

func TestParseReportsAllProblemsAtOnceInLineOrder(t *testing.T) {
	file := `trust_domain: ""
root_c: root/ca
regions:
  - name: " "
    nodes:
      - id: a b
        attestor: mtls-crt
        cred_ttl: 90
        renew_before: 1h30m
      - id: node-1
        attestor: mtls-cert
        cred_ttl: 1h
        renew_before: 60 minutes
  - intermediate_ca: x
    nodes:
      - id: node-1
        id: node-2
        cred_ttl: 0s
        renew_before: 5m
        roles: [writer, 7]
quorum:
  width: 0
enforcement:
  requir_sig: true
---
`
	inv, rep := Parse([]byte(file))
	want := []string{
		"1 empty_trust_domain trust_domain",
		"2 parse_error root_c",
		"4 empty_region_name regions[0].name",
		"6 invalid_node_id regions[0].nodes[0].id",
		"7 parse_error regions[0].nodes[0].attestor",
		"8 invalid_duration regions[0].nodes[0].cred_ttl",
		"9 invalid_duration regions[0].nodes[0].renew_before",
		"13 renew_before_not_shorter regions[0].nodes[1].renew_before",
		"14 empty_region_name regions[1].name",
		"16 duplicate_node_id regions[1].nodes[0].id",
		"16 parse_error regions[1].nodes[0].attestor",
		"17 parse_error regions[1].nodes[0].id",
		"18 invalid_duration regions[1].nodes[0].cred_ttl",
		"20 parse_error regions[1].nodes[0].roles[1]",
		"22 invalid_quorum_width quorum.width",
		"24 parse_error enforcement.requir_sig",
		"25 parse_error",
	}
	if diff := cmp.Diff(want, summary(rep.Errors)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if inv != nil {
		t.Error("an inventory with errors must be nil")
	}
	err := rep.Err()
	var all *Error
	if !errors.As(err, &all) || len(all.Problems) != len(want) {
		t.Fatalf("Err() = %v", err)
	}
	for _, part := range []string{"17 problems", "line 24: enforcement.requir_sig: ", "did you mean require_sig?", "[inventory_parse_error]", "first on line 10 at regions[0].nodes[1].id"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error text lacks %q:\n%v", part, err)
		}
	}
}

func TestStrictness(t *testing.T) {
	const rest = "quorum: {width: 1}\nenforcement: {require_sig: false}\n"
	const good = "trust_domain: t\n" + rest
	node := func(id string) string { return "{id: " + id + ", attestor: mtls-cert, cred_ttl: 1h, renew_before: 5m}" }
	rules := []struct {
		sentence, file string
		want           []string
	}{
		{"an unknown key at the root", good + "region: []\n", []string{"4 parse_error region"}},
		{"an unknown key in quorum", "trust_domain: t\nquorum: {width: 1, hight: 2}\n", []string{"2 parse_error quorum.hight"}},
		{"an unknown key in a region", good + "regions:\n- name: r\n  node: []\n", []string{"6 parse_error regions[0].node"}},
		{"an unknown key in a node", oneNode("id: a", "attestor: mtls-cert", "cred_ttl: 1h", "renew_before: 5m", "role: x"), []string{"9 parse_error regions[0].nodes[0].role"}},
		{"a key that differs in case only", "Trust_Domain: t\n" + good, []string{"1 parse_error Trust_Domain"}},
		{"a key that is not a word", good + "7: x\n[a]: y\n", []string{"4 parse_error 7", "5 parse_error"}},
		{"a key that would spoil the path", good + "\"a.b c\": x\n", []string{"4 parse_error [\"a.b c\"]"}},
		{"a merge key", "base: &b {width: 1}\ntrust_domain: t\nquorum: {<<: *b}\n", []string{"1 parse_error base", "3 parse_error quorum[\"<<\"]", "3 invalid_quorum_width quorum.width"}},
		{"a key given twice", good + "trust_domain: u\n", []string{"4 parse_error trust_domain"}},
		{"a key given twice with null", good + "quorum:\n", []string{"4 parse_error quorum"}},
		{"a second document", good + "---\n" + good, []string{"4 parse_error"}},
		{"a second document that is empty", good + "---\n", []string{"4 parse_error"}},
		{"a second document that does not parse", good + "---\na: b: c\n", []string{"5 parse_error"}},
		{"an end marker is no second document", good + "...\n", nil},
		{"a byte order mark is fine", "\ufeff" + good, nil},
		{"windows line ends are fine", strings.ReplaceAll(good, "\n", "\r\n"), nil},
		{"no bytes at all", "", []string{"1 parse_error"}},
		{"only comments", "# nothing\n", []string{"1 parse_error"}},
		{"a null document", "---\n", []string{"1 parse_error"}},
		{"a list at the root", "\n- a\n", []string{"2 parse_error"}},
		{"a word at the root", "hello", []string{"1 parse_error"}},
		{"an empty mapping", "{}", []string{"1 empty_trust_domain trust_domain", "1 invalid_quorum_width quorum.width"}},
		{"a quoted boolean", "trust_domain: t\nquorum: {width: 1}\nenforcement: {require_sig: \"yes\"}\n", []string{"3 parse_error enforcement.require_sig"}},
		{"an unquoted yes", "trust_domain: t\nquorum: {width: 1}\nenforcement: {require_sig: yes}\n", []string{"3 parse_error enforcement.require_sig"}},
		{"a tag that lies about a boolean", "trust_domain: t\nquorum: {width: 1}\nenforcement: {require_sig: !!bool x}\n", []string{"3 parse_error enforcement.require_sig"}},
		{"a boolean for a block", "trust_domain: t\nquorum: {width: 1}\nenforcement: true\n", []string{"3 parse_error enforcement"}},
		{"a number for a string", "trust_domain: 7\n" + rest, []string{"1 parse_error trust_domain"}},
		{"a date for a string", "trust_domain: 2026-01-01\n" + rest, []string{"1 parse_error trust_domain"}},
		{"a tagged string is a string", "trust_domain: !!str 7\n" + rest, nil},
		{"a list for a string", good + "root_ca: [a]\n", []string{"4 parse_error root_ca"}},
		{"a mapping for a list", good + "regions: {}\n", []string{"4 parse_error regions"}},
		{"a null in a list", good + "regions:\n- name: r\n- \n", []string{"6 parse_error regions[1]"}},
		{"optional keys that are null are left out", good + "root_ca:\nregions: [{name: r, nodes: ~, intermediate_ca: null}]\n", nil},
		{"required keys that are null are missing", "trust_domain:\n\nquorum:\n\n", []string{"1 empty_trust_domain trust_domain", "3 invalid_quorum_width quorum.width"}},
		{"a node without anything", oneNode("{}"), []string{
			"5 invalid_node_id regions[0].nodes[0].id", "5 parse_error regions[0].nodes[0].attestor",
			"5 invalid_duration regions[0].nodes[0].cred_ttl", "5 invalid_duration regions[0].nodes[0].renew_before"}},
		{"an unquoted number as an id", oneNode(node("007")), []string{"5 parse_error regions[0].nodes[0].id"}},
		{"a width that is a string", "trust_domain: t\nquorum: {width: '2'}\n", []string{"2 parse_error quorum.width"}},
		{"a quorum that is a number", "trust_domain: t\nquorum: 2\n", []string{"2 parse_error quorum"}},
		{"the same id in two regions", good + "regions:\n- {name: a, nodes: [" + node("x") + "]}\n- {name: b, nodes: [" + node("x") + "]}\n", []string{"6 duplicate_node_id regions[1].nodes[0].id"}},
		{"ids that differ in case are two", good + "regions: [{name: a, nodes: [" + node("x") + ", " + node("X") + "]}]\n", nil},
		{"a wrong value behind an alias stands on the alias' line", oneNode("id: &i a b", "attestor: mtls-cert", "cred_ttl: 1h", "renew_before: *i"), []string{"5 invalid_node_id regions[0].nodes[0].id", "8 invalid_duration regions[0].nodes[0].renew_before"}},
		{"an alias that contains itself", good + "regions: &r\n- name: a\n  nodes: *r\n", []string{
			"6 parse_error regions[0].nodes[0].name", "6 parse_error regions[0].nodes[0].nodes", "6 invalid_node_id regions[0].nodes[0].id",
			"6 parse_error regions[0].nodes[0].attestor", "6 invalid_duration regions[0].nodes[0].cred_ttl", "6 invalid_duration regions[0].nodes[0].renew_before"}},
		{"an alias without its anchor", good + "root_ca: *x\n", []string{"4 parse_error"}},
		{"a tab as indentation", "trust_domain: t\n\tquorum: 1\n", []string{"2 parse_error"}},
		{"a bracket left open", good + "regions: [\n", []string{"4 parse_error"}},
		{"an indentation that fits nowhere", "trust_domain: t\nquorum:\n  width: 1\n root_ca: x\n", []string{"4 parse_error"}},
		{"bytes that are not utf-8", "trust_domain: t\n# \xff\n", []string{"2 parse_error"}},
		{"utf-16", "\xff\xfea\x00", []string{"1 parse_error"}},
		{"a control character", "trust_domain: t\nroot_ca: \x00\n", []string{"2 parse_error"}},
	}
	for _, rule := range rules {
		t.Run(rule.sentence, func(t *testing.T) {
			inv, rep := Parse([]byte(rule.file))
			if diff := cmp.Diff(rule.want, summary(rep.Errors)); diff != "" {
				t.Errorf("errors (-want +got):\n%s\n%v", diff, rep.Err())
			}
			if (inv == nil) != (len(rule.want) > 0) {
				t.Errorf("inventory = %v", inv)
			}
		})
	}
}

func TestQuorumWidth(t *testing.T) {
	widths := map[string]string{
		"1": "", "9223372036854775807": "",
		"0": TagInvalidQuorumWidth, "-1": TagInvalidQuorumWidth, "1.5": TagInvalidQuorumWidth, "2.0": TagInvalidQuorumWidth,
		"9223372036854775808": TagInvalidQuorumWidth, "99999999999999999999999": TagInvalidQuorumWidth, ".inf": TagInvalidQuorumWidth,
		"010": TagInvalidQuorumWidth, "0x2": TagInvalidQuorumWidth, "1_0": TagInvalidQuorumWidth, "~": TagInvalidQuorumWidth, "!!int x": TagInvalidQuorumWidth,
		"true": TagParseError, "two": TagParseError, "[1]": TagParseError,
	}
	for text, want := range widths {
		_, rep := Parse([]byte("trust_domain: t\nquorum: {width: " + text + "}\n"))
		got := ""
		if len(rep.Errors) == 1 {
			got = rep.Errors[0].Tag
		}
		if got != want || len(rep.Errors) > 1 {
			t.Errorf("width %s: %v", text, rep.Errors)
		}
	}
}

func TestNodeIDs(t *testing.T) {
	a128 := strings.Repeat("a", 128)
	ids := map[string]bool{
		"spiffe://example.org/ns/prod": true, "host:dev-1:pid-9": true, "a//b": true, "a/": true, ".": true, "./a": true,
		"-rf": true, "@": true, a128: true,
		"": false, a128 + "a": false, "a b": false, " a": false, "é": false, "~/a": false, `a\b`: false, "a%2e": false,
		"a+b": false, "..": false, "a..b": false, "foo/../bar": false, "/a": false,
	}
	for id, accepted := range ids {
		file := oneNode("id: '"+id+"'", "attestor: mtls-cert", "cred_ttl: 1h", "renew_before: 5m")
		inv, rep := Parse([]byte(file))
		switch {
		case accepted && (inv == nil || inv.Find(fleet.NodeID(id)) == nil):
			t.Errorf("id %q must be accepted: %v", id, rep.Err())
		case !accepted && (len(rep.Errors) != 1 || rep.Errors[0].Tag != TagInvalidNodeID):
			t.Errorf("id %q must be refused: %v", id, rep.Errors)
		}
	}
}

func TestUnknownKeysNameTheNearestKnownOne(t *testing.T) {
	for given, hint := range map[string]string{
		"trust-domain": "did you mean trust_domain?", "quorom": "did you mean quorum?", "Regions": "did you mean regions?",
		"zone": "known here are trust_domain, root_ca, regions, quorum, enforcement",
	} {
		_, rep := Parse([]byte("trust_domain: t\nquorum: {width: 1}\n" + given + ": x\n"))
		if len(rep.Errors) != 1 || !strings.HasSuffix(rep.Errors[0].Message, hint) {
			t.Errorf("%s: %v", given, rep.Errors)
		}
	}
}

func TestMessagesOfLongValuesStayShort(t *testing.T) {
	long := strings.Repeat("é", 100_000)
	_, rep := Parse([]byte(long + ": x\ntrust_domain: [" + long + "]\nquorum: {width: 1}\n"))
	for _, p := range rep.Errors {
		if len(p.String()) > 600 {
			t.Errorf("%d bytes: %.100s", len(p.String()), p)
		}
	}
}
