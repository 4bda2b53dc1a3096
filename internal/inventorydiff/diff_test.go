package inventorydiff_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/internal/inventorydiff"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

const before = `
trust_domain: fleet.example
regions:
  - name: nyc
    nodes:
      - {id: a, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: b, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: c, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
  - name: sfo
    nodes:
      - {id: d, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 2}
enforcement: {require_sig: true}
`

func parse(t *testing.T, text string) *fleet.Inventory {
	t.Helper()
	inv, rep := inventory.Parse([]byte(text))
	if !rep.Valid() {
		t.Fatal(rep.Err())
	}
	return inv
}

func TestWhatDiffers(t *testing.T) {
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(before) }
	for does, c := range map[string]struct {
		new  string
		want []string
	}{
		"nothing":                      {before, nil},
		"a comment is no difference":   {"# by ada\n" + before, nil},
		"another spelling of the same": {replace("cred_ttl: 1h", "cred_ttl: 60m"), nil},
		"fields of the fleet": {
			replace("width: 2", "width: 3", "require_sig: true", "require_sig: false", "fleet.example", "f.example"),
			[]string{"changed trust_domain fleet.example>f.example", "changed quorum.width 2>3", "changed enforcement.require_sig true>false"},
		},
		"a root issuer": {"root_ca: r2\n" + before, []string{"changed root_ca >r2"}},
		"a field of a node": {
			replace("{id: a, attestor: mtls-cert, cred_ttl: 1h", "{id: a, roles: [edge], attestor: node-plugin, cred_ttl: 2d"),
			[]string{
				"changed regions[nyc].nodes[a].attestor mtls-cert>node-plugin", "changed regions[nyc].nodes[a].cred_ttl 1h>2d",
				"changed regions[nyc].nodes[a].roles []>[edge]",
			},
		},
		"one for another": {replace("id: d", "id: e"), []string{
			"added regions[sfo].nodes[e] >attestor mtls-cert, cred_ttl 1h, renew_before 15m",
			"removed regions[sfo].nodes[d] attestor mtls-cert, cred_ttl 1h, renew_before 15m>",
		}},
		"a region with its intermediate": {replace("- name: sfo", "- name: sfo\n    intermediate_ca: i1"), []string{"changed regions[sfo].intermediate_ca >i1"}},
		"a region of another name moves its nodes": {replace("sfo", "oslo"), []string{
			"added regions[oslo] >", "removed regions[sfo] >", "moved regions[oslo].nodes[d] sfo>oslo",
		}},
		"another order": {replace("id: a", "id: b", "id: b", "id: a"), []string{"reordered regions[nyc].nodes >"}},
	} {
		var got []string
		for _, c := range inventorydiff.Of(parse(t, before), parse(t, c.new)) {
			got = append(got, fmt.Sprintf("%s %s %s>%s", c.Kind, c.Path, c.Old, c.New))
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", does, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestTheFirstInventoryAddsEverything(t *testing.T) {
	added := map[fleet.NodeID]bool{}
	for _, c := range inventorydiff.Of(nil, parse(t, before)) {
		if c.Node != "" && c.Kind == inventorydiff.Added {
			added[c.Node] = true
		}
	}
	if len(added) != 4 {
		t.Errorf("added %v", added)
	}
}

// A duration reads back as what it was.
func TestDurationsAreAsInventoriesHaveThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, 1e6).Draw(t, "n")) * rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "unit")
		back, err := inventory.ParseDuration(inventorydiff.Duration(d))
		if err != nil || back != d {
			t.Fatalf("%s became %q, and that %s, %v", d, inventorydiff.Duration(d), back, err)
		}
	})
}

// What is there before and after is the old list without what was removed, and
// with what was added.
func TestTheDifferenceLeadsFromOneToTheOther(t *testing.T) {
	draw := func(t *rapid.T, name string) *fleet.Inventory {
		inv := &fleet.Inventory{Regions: []fleet.Region{{Name: "r"}, {Name: "s"}}}
		for _, id := range []fleet.NodeID{"a", "b", "c", "d"} {
			if at := rapid.IntRange(0, 2).Draw(t, name+string(id)); at < 2 {
				inv.Regions[at].Nodes = append(inv.Regions[at].Nodes, fleet.Node{ID: id})
			}
		}
		return inv
	}
	rapid.Check(t, func(t *rapid.T) {
		old, new := draw(t, "old"), draw(t, "new")
		at := map[fleet.NodeID]string{}
		for n := range old.Nodes() {
			at[n.ID] = old.RegionOf(n.ID).Name
		}
		for _, c := range inventorydiff.Of(old, new) {
			switch c.Kind {
			case inventorydiff.Added, inventorydiff.Moved:
				at[c.Node] = c.Region
			case inventorydiff.Removed:
				delete(at, c.Node)
			}
		}
		if len(at) != new.Len() {
			t.Fatalf("%v is not %+v", at, new)
		}
		for n := range new.Nodes() {
			if at[n.ID] != new.RegionOf(n.ID).Name {
				t.Fatalf("%s is in %q", n.ID, at[n.ID])
			}
		}
	})
}
