package projection_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func wanting(ids ...fleet.NodeID) *fleet.Inventory {
	inv := &fleet.Inventory{TrustDomain: "d", QuorumWidth: 1, Regions: []fleet.Region{{Name: "nyc"}}}
	for _, id := range ids {
		inv.Regions[0].Nodes = append(inv.Regions[0].Nodes, fleet.Node{ID: id})
	}
	return inv
}

// TestWhoLacksARoot has one sentence for each rule.
func TestWhoLacksARoot(t *testing.T) {
	const both = "root r1\n root r2\n appeared n1\n"
	for rule, c := range map[string]struct {
		given string
		lacks bool
	}{
		"a node that was never seen lacks it":                {"root r1\n root r2", true},
		"a node that reported nothing lacks it":              {both, true},
		"a node that reported the bundle knows it":           {both + "bundle n1 roots=r1,r2", false},
		"a bundle has no order":                              {both + "bundle n1 roots=r2,r1", false},
		"a node that reported an older bundle lacks it":      {both + "bundle n1 roots=r1", true},
		"a bundle that never was counts for nothing":         {both + "bundle n1 roots=r2", true},
		"a node that lost its bundle lacks it":               {both + "bundle n1 roots=r1,r2\n bundle n1", true},
		"a node that is lost still knows it":                 {both + "bundle n1 roots=r1,r2\n lost n1", false},
		"a new life begins without":                          {both + "bundle n1 roots=r1,r2\n removed n1\n appeared n1 epoch=2", true},
		"a newer bundle has it, too":                         {both + "root r3\n bundle n1 roots=r1,r2,r3", false},
		"an older bundle with it will do":                    {both + "bundle n1 roots=r1,r2\n root r3", false},
		"another trust domain's roots are in another bundle": {both + "root x1 domain=x\n bundle n1 roots=r1,r2", false},
		"a new certificate of a key is the same root":        {both + "bundle n1 roots=r1,r2\n root r2 pem=again", false},
	} {
		t.Run(rule, func(t *testing.T) {
			if lacks := after(t, c.given).WithoutRoot(wanting("n1"), "r2"); (len(lacks) == 1) != c.lacks {
				t.Errorf("lacking it: %v", lacks)
			}
		})
	}
}

func TestWhoSignsUnderAnIssuer(t *testing.T) {
	s := after(t, `root r1
		intermediate i1 region=nyc of=r1
		root r2
		appeared n1
		issued n1 issuer=i1
		proved n1
		appeared n2
		issued n2 issuer=r1
		proved n2
		appeared n3
		issued n3 issuer=r1
		appeared n4
		issued n4 issuer=r2
		proved n4
		appeared n5
		issued n5 issuer=r1
		proved n5`)
	inv := wanting("n4", "n3", "n2", "n1") // n5 is not desired
	for issuer, want := range map[string][]fleet.NodeID{"r1": {"n2", "n1"}, "i1": {"n1"}, "r2": {"n4"}} {
		if got := s.SigningUnder(inv, issuer); !slices.Equal(got, want) {
			t.Errorf("under %s sign %v, want %v", issuer, got, want)
		}
	}
}

// Whatever the log says: of each line one issues, as long as there is one, and
// the one that issues is never taken away.
func TestOneIssuesAndItsRootIsInTheBundle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		for _, text := range history(rt) {
			before, had := s.Root("d")
			apply(t, s, parseLine(text).event())
			now, has := s.Root("d")
			if had && !has {
				rt.Fatalf("%s: root %s is gone", text, before.Fingerprint)
			}
			if has && !slices.ContainsFunc(s.Bundle("d"), func(pem []byte) bool { return string(pem) == now.CertificatePEM }) {
				rt.Fatalf("%s: root %s issues and is not in the bundle", text, now.Fingerprint)
			}
			active := map[string]int{}
			for _, i := range s.Issuers() {
				if i.Active {
					active[fmt.Sprint(i.TrustDomain, i.Region, i.Parent)]++
				}
				if i.Parent != "" && !s.KnowsIssuer(i.Parent) {
					rt.Fatalf("%s: intermediate %s has lost its root", text, i.Fingerprint)
				}
			}
			for line, n := range active {
				if n != 1 {
					rt.Fatalf("%s: %d issue in line %s", text, n, line)
				}
			}
		}
	})
}
