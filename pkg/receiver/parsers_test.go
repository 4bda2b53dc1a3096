package receiver

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// A region's issuer puts a certificate of a node of another region before its own,
// so that one reader of PEM passes over the first and another does not: then its own
// key would have signed, and the node would be the sender.
func TestAChainIsReadInOneWayOnly(t *testing.T) {
	w := newWorld(t, nil)
	dir := t.TempDir()
	region, _, err := identity.OpenCA(identity.CAConfig{Dir: dir, TrustDomain: domain, Region: "oslo", Parent: w.ca}, t0)
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := identity.LoadOrCreateKey(filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	w.source.trust.Region = func(string, fleet.NodeID) bool { return false }
	victim := holder(t, w.ca, domain, "n3", t0, time.Hour)
	leaf := bytes.TrimSpace(victim.ChainPEM)
	for between, behind := range map[string]string{
		"a blank that is none in PEM": "\u00a0\n", "a blank line that is none in PEM": "\u0085\n", "a form feed": "\f\n",
		"a tab": "\t\n", "nothing": "", "text": " x\n",
	} {
		w.now = w.now.Add(time.Second)
		c := &Credential{Key: key, ChainPEM: append(append(bytes.Clone(leaf), behind...), region.CertificatePEM()...), ID: victim.ID}
		if s, err := w.Check(w.signed(c, between)); err == nil {
			t.Errorf("%s: a post by the issuer of a region is taken for one of %s", between, s.Node)
		}
	}
}
