package inventory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWarnings(t *testing.T) {
	const node = "{id: a, attestor: mtls-cert, cred_ttl: 1h, renew_before: 5m}"
	const strict = "enforcement: {require_sig: true}\n"
	rules := []struct {
		sentence, file string
		want           []string
	}{
		{"a fleet as it should be", "trust_domain: t\nquorum: {width: 1}\nregions: [{name: r, nodes: [" + node + "]}]\n" + strict, nil},
		{"a region name used twice", "trust_domain: t\nquorum: {width: 1}\n" + strict + "regions:\n- {name: r, nodes: [" + node + "]}\n- {name: r}\n- {name: R}\n",
			[]string{"6 duplicate_region_name regions[1].name"}},
		{"a width above the number of nodes", "trust_domain: t\nquorum:\n  width: 2\nregions: [{name: r, nodes: [" + node + "]}]\n" + strict,
			[]string{"3 quorum_width_above_nodes quorum.width"}},
		{"no nodes at all", "trust_domain: t\nquorum: {width: 1}\nregions: [{name: r}]\n" + strict,
			[]string{"2 quorum_width_above_nodes quorum.width", "3 no_nodes regions"}},
		{"enforcement left out", "trust_domain: t\nquorum: {width: 1}\nregions: [{name: r, nodes: [" + node + "]}]\n",
			[]string{"1 enforcement_missing enforcement"}},
		{"require_sig left out", "trust_domain: t\nquorum: {width: 1}\nregions: [{name: r, nodes: [" + node + "]}]\nenforcement: {}\n",
			[]string{"4 enforcement_missing enforcement.require_sig"}},
		{"a trust domain that is no spiffe name", "trust_domain: Fleet Example\nquorum: {width: 1}\nregions: [{name: r, nodes: [" + node + "]}]\n" + strict,
			[]string{"1 trust_domain_not_spiffe trust_domain"}},
		{"credentials that never count", "trust_domain: t\nquorum: {width: 1}\n" + strict + "regions:\n- name: r\n  nodes:\n" +
			"  - {id: a, attestor: mtls-cert, cred_ttl: 31s, renew_before: 5s}\n  - id: b\n    attestor: mtls-cert\n    cred_ttl: 30s\n    renew_before: 5s\n" +
			"  - {id: c, attestor: mtls-cert, cred_ttl: 1s, renew_before: 5x}\n",
			[]string{"10 cred_ttl_too_short regions[0].nodes[1].cred_ttl", "12 cred_ttl_too_short regions[0].nodes[2].cred_ttl"}},
		{"warnings are given along with errors", "trust_domain: T\nquorum: {width: 1}\nregions: []\nenforcment: {}\n",
			[]string{"1 trust_domain_not_spiffe trust_domain", "1 enforcement_missing enforcement", "2 quorum_width_above_nodes quorum.width", "3 no_nodes regions"}},
		{"a list that cannot be read is not counted", "trust_domain: t\nquorum: {width: 1}\nregions: 7\n" + strict, nil},
		{"a region that cannot be read is not counted", "trust_domain: t\nquorum: {width: 1}\nregions: [7]\n" + strict, nil},
	}
	for _, rule := range rules {
		t.Run(rule.sentence, func(t *testing.T) {
			_, rep := Parse([]byte(rule.file))
			if diff := cmp.Diff(rule.want, summary(rep.Warnings)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
