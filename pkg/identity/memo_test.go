package identity

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever was asked before, a memo never changes an answer.
func TestAMemoChangesNoAnswer(t *testing.T) {
	root, other := newCA(t, td), newCA(t, td)
	nyc, sfo, foreign := newIntermediate(t, root, "nyc"), newIntermediate(t, root, "sfo"), newIntermediate(t, other, "nyc")
	leaf := func(ca *CA) []byte { return splitPEM(issue(t, ca, "n").CertificatePEM)[0] }
	chains := map[string][]byte{
		"nyc": issue(t, nyc, "n").CertificatePEM, "sfo": issue(t, sfo, "n").CertificatePEM, "foreign": issue(t, foreign, "n").CertificatePEM,
		"by the root": issue(t, root, "n").CertificatePEM, "another node's": issue(t, nyc, "m").CertificatePEM,
		"another's intermediate": join(leaf(sfo), nyc.CertificatePEM()), "a stranger's leaf": join(leaf(foreign), nyc.CertificatePEM()),
		"the root's leaf": join(leaf(root), nyc.CertificatePEM()),
		"damaged":         join(leaf(nyc), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
	}
	bundles := map[string][][]byte{
		"root": {root.CertificatePEM()}, "other": {other.CertificatePEM()}, "both": {root.CertificatePEM(), other.CertificatePEM()},
		"none": nil, "damaged": {[]byte("no PEM"), root.CertificatePEM()},
	}
	times := []time.Time{t0, t0.Add(time.Minute), t0.AddDate(2, 0, 0), t0.AddDate(30, 0, 0), t0.AddDate(-1, 0, 0)}
	chainNames, bundleNames := slices.Sorted(maps.Keys(chains)), slices.Sorted(maps.Keys(bundles))
	rapid.Check(t, func(t *rapid.T) {
		var memo Memo
		for range 20 {
			chain, bundle := rapid.SampledFrom(chainNames).Draw(t, "chain"), rapid.SampledFrom(bundleNames).Draw(t, "bundle")
			v := Verification{
				Roots: bundles[bundle], TrustDomain: td, Node: "n", Now: rapid.SampledFrom(times).Draw(t, "time"),
				Region: rapid.SampledFrom([]string{"", "nyc", "sfo"}).Draw(t, "region"),
			}
			_, want := v.Leaf(chains[chain])
			v.Memo = &memo
			if _, got := v.Leaf(chains[chain]); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s under %s: %v with a memo, %v without", chain, bundle, got, want)
			}
		}
	})
}
