package receiver

import (
	"crypto/x509"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// keyID of the root, as leaves name it.
func (w *world) keyID() string {
	chain, err := identity.ParseChain(w.ca.CertificatePEM())
	if err != nil {
		w.Fatal(err)
	}
	return hex.EncodeToString(chain[0].SubjectKeyId)
}

func TestARevokedCredentialIsRefusedInAnyPosture(t *testing.T) {
	w := newWorld(t, nil)
	gone, stays := w.holder("n1"), w.holder("n2")
	crl, err := w.ca.CRL([]identity.Revoked{{Serial: w.serial(gone), At: t0}}, 1, t0, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	forged, err := newCA(t, domain, t0).CRL([]identity.Revoked{{Serial: w.serial(stays), At: t0}}, 2, t0, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, strict := range []bool{true, false} {
		w.posture(strict, t0)
		w.source.trust.CRLs = map[string][]byte{w.keyID(): crl}
		w.wants("listed", w.signed(gone, "1"), false, "", identity.CertificateRevoked)
		w.wants("not listed", w.signed(stays, strconv.FormatBool(strict)), true, "", "")
	}
	w.posture(true, t0)
	w.source.trust.CRLs = map[string][]byte{w.keyID(): forged}
	w.wants("on a list by somebody else", w.signed(stays, "3"), true, "", "")
	w.posture(true, t0)
	w.source.trust.Revoked = func(id fleet.NodeID, _ *x509.Certificate) fleet.Reason {
		if id == "n1" {
			return identity.CertificateRevoked
		}
		return ""
	}
	w.wants("revoked as the source knows", w.signed(gone, "4"), false, "", identity.CertificateRevoked)
	w.wants("not revoked as the source knows", w.signed(stays, "4"), true, "", "")
}

// A list that should have been followed by another one still counts, and is told of.
func TestAnOverdueListIsToldOf(t *testing.T) {
	var log strings.Builder
	w := newWorld(t, func(c *Config) { c.Logger = zerolog.New(&log) })
	gone, stays := w.holder("n1"), w.holder("n2")
	crl, err := w.ca.CRL([]identity.Revoked{{Serial: w.serial(gone), At: t0}}, 1, t0, t0.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	w.source.trust.CRLs = map[string][]byte{w.keyID(): crl}
	const told = "revocation list is overdue"
	w.now = t0.Add(time.Minute)
	w.wants("in time", w.signed(stays, "1"), true, "", "")
	if strings.Contains(log.String(), told) {
		t.Error("told of a list that is in time")
	}
	w.now = t0.Add(2 * time.Minute)
	w.wants("overdue", w.signed(stays, "2"), true, "", "")
	w.wants("overdue, and listed", w.signed(gone, "1"), false, "", identity.CertificateRevoked)
	if n := strings.Count(log.String(), told); n != 1 {
		t.Errorf("told %d times: %s", n, &log)
	}
}

func TestAnIntermediatesListIsReadByItsOwnKey(t *testing.T) {
	w := newWorld(t, nil)
	region, _, err := identity.OpenCA(identity.CAConfig{Dir: t.TempDir(), TrustDomain: domain, Region: "oslo", Parent: w.ca}, t0)
	if err != nil {
		t.Fatal(err)
	}
	gone := holder(t, region, domain, "n1", t0, time.Hour)
	stays := holder(t, region, domain, "n2", t0, time.Hour)
	crl, err := region.CRL([]identity.Revoked{{Serial: w.serial(gone), At: t0}}, 1, t0, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := identity.ParseChain(gone.ChainPEM)
	if err != nil {
		t.Fatal(err)
	}
	anywhere := func(string, fleet.NodeID) bool { return true }
	w.source.trust.CRLs, w.source.trust.Region = map[string][]byte{hex.EncodeToString(chain[0].AuthorityKeyId): crl}, anywhere
	w.wants("listed by the region", w.signed(gone, "1"), false, "", identity.CertificateRevoked)
	w.wants("not listed", w.signed(stays, "1"), true, "", "")
	root, err := w.ca.CRL([]identity.Revoked{{Serial: identity.SerialOf(chain[1]), At: t0}}, 1, t0, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w.posture(true, t0)
	w.source.trust.CRLs, w.source.trust.Region = map[string][]byte{w.keyID(): root}, anywhere
	w.wants("the region itself listed by the root", w.signed(stays, "2"), false, "", identity.CertificateRevoked)
}

// A copy of a credential that its node has replaced counts no more.
func TestASupersededCredentialIsRefusedInAnyPosture(t *testing.T) {
	w := newWorld(t, nil)
	old, next := w.holder("n1"), w.holder("n1")
	crl, err := w.ca.CRL([]identity.Revoked{{Serial: w.serial(old), At: t0, Superseded: true}}, 1, t0, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, strict := range []bool{true, false} {
		w.posture(strict, t0.Add(-time.Hour))
		w.source.trust.CRLs = map[string][]byte{w.keyID(): crl}
		w.wants("the old one", w.signed(old, "1"), false, "", identity.CertificateSuperseded)
		w.wants("the new one", w.signed(next, strconv.FormatBool(strict)), true, "", "")
	}
}
