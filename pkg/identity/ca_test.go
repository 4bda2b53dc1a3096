package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

func newCA(t testing.TB, trustDomain string) *CA {
	t.Helper()
	ca, created, err := LoadOrCreateCA(filepath.Join(t.TempDir(), "ca"), trustDomain, t0)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	return ca
}

func TestLoadOrCreateCA(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	ca, created, err := LoadOrCreateCA(dir, td, t0)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	if mode(t, dir) != 0o700 || mode(t, filepath.Join(dir, "ca.key")) != 0o600 {
		t.Error("folder or key is open to others")
	}
	c := ca.cert
	if c.Subject.String() != "CN=fleetfold root "+td || len(c.URIs) != 1 || c.URIs[0].String() != "spiffe://"+td {
		t.Errorf("subject %v, URIs %v", c.Subject, c.URIs)
	}
	if !c.IsCA || c.MaxPathLen != 1 || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || len(c.SubjectKeyId) != 20 {
		t.Errorf("CA %v, path %d, usage %v", c.IsCA, c.MaxPathLen, c.KeyUsage)
	}
	if !c.NotAfter.Equal(t0.Truncate(time.Second).AddDate(10, 0, 0)) {
		t.Errorf("ends %v", c.NotAfter)
	}
	again, created, err := LoadOrCreateCA(dir, td, t0.Add(time.Hour))
	if err != nil || created || !bytes.Equal(again.CertificatePEM(), ca.CertificatePEM()) {
		t.Fatalf("second call: created %v, %v", created, err)
	}
}

func TestLoadOrCreateCARefuses(t *testing.T) {
	for sentence, c := range map[string]struct {
		trustDomain string
		now         time.Time
		spoil       func(t *testing.T, dir string)
		says        string
	}{
		"a root of another trust domain":   {"other.example", t0, nil, "not of trust domain"},
		"an expired root":                  {td, t0.AddDate(11, 0, 0), nil, "expired"},
		"a root that has not begun":        {td, t0.Add(-time.Hour), nil, "not valid before"},
		"a root without its key":           {td, t0, func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "ca.key")) }, "ca.key"},
		"a damaged root":                   {td, t0, func(t *testing.T, dir string) { os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("x"), 0o644) }, "restore it"},
		"a root beside another key":        {td, t0, swapKey, "another key"},
		"a leaf in the place of the root":  {td, t0, plantLeaf, "may not sign"},
		"a key that everybody may read":    {td, t0, func(t *testing.T, dir string) { os.Chmod(filepath.Join(dir, "ca.key"), 0o644) }, "chmod 600"},
		"a trust domain that is not legal": {"a..b", t0, nil, "trust domain"},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ca")
			if _, _, err := LoadOrCreateCA(dir, td, t0); err != nil {
				t.Fatal(err)
			}
			if c.spoil != nil {
				c.spoil(t, dir)
			}
			_, _, err := LoadOrCreateCA(dir, c.trustDomain, c.now)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			if c.trustDomain != "a..b" && !strings.Contains(err.Error(), dir) {
				t.Fatalf("the path is missing: %v", err)
			}
		})
	}
}

// The folder of an issuer is nobody else's, whoever made it before.
func TestTheFolderOfAnIssuerIsItsOwners(t *testing.T) {
	for sentence, c := range map[string]struct {
		mode    os.FileMode
		holds   bool
		refused bool
	}{
		"others may list it":                   {0o755, true, false},
		"others may write, but it is empty":    {0o777, false, false},
		"others may write to what is in it":    {0o777, true, true},
		"the group may write to what is in it": {0o770, true, true},
		"others may write to it, and not look": {0o702, true, true},
		"it is its owner's alone":              {0o700, true, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ca")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if c.holds {
				if _, _, err := LoadOrCreateCA(dir, td, t0); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, c.mode); err != nil {
				t.Fatal(err)
			}
			_, _, err := LoadOrCreateCA(dir, td, t0)
			switch {
			case c.refused && (err == nil || !strings.Contains(err.Error(), "chmod 700 "+dir)):
				t.Errorf("got %v", err)
			case c.refused && mode(t, dir) != c.mode:
				t.Errorf("its mode is %o now", mode(t, dir))
			case !c.refused && (err != nil || mode(t, dir) != 0o700):
				t.Errorf("its mode is %o, %v", mode(t, dir), err)
			}
		})
	}
}

func swapKey(t *testing.T, dir string) {
	os.Remove(filepath.Join(dir, "ca.key"))
	if _, _, err := LoadOrCreateKey(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
}

func plantLeaf(t *testing.T, dir string) {
	issued := issue(t, newCA(t, td), "n")
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), issued.CertificatePEM, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLoadOrCreateCAAtOnceGivesOneRoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	const n = 8
	roots, made := make([][]byte, n), make([]bool, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			ca, created, err := LoadOrCreateCA(dir, td, t0)
			if err != nil {
				t.Error(err)
				return
			}
			roots[i], made[i] = ca.CertificatePEM(), created
		})
	}
	wg.Wait()
	winners := 0
	for i := range n {
		if !bytes.Equal(roots[i], roots[0]) {
			t.Fatal("two roots")
		}
		if made[i] {
			winners++
		}
	}
	if winners != 1 {
		t.Fatalf("%d calls say that they made the root", winners)
	}
	onlyFiles(t, dir, "ca.crt", "ca.key")
}

func issue(t testing.TB, ca *CA, id fleet.NodeID) *Issued {
	t.Helper()
	csr, err := ParseCSR(newCSR(t, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue(csr, id, time.Hour, t0)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// TestIssueIgnoresTheRequest: the request asks for a name, another node's
// SPIFFE ID and the powers of a CA, and gets none.
func TestIssueIgnoresTheRequest(t *testing.T) {
	ca, key := newCA(t, td), newKey(t)
	constraints, err := asn1.Marshal(struct{ IsCA bool }{true})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "root"},
		DNSNames: []string{"evil.example"},
		URIs:     []*url.URL{{Scheme: "spiffe", Host: td, Path: "/victim"}},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: constraints},
		},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := ParseCSR(toPEM(csrBlock, der))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue(csr, "n:1", time.Hour, t0)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := VerifyLeaf(issued.CertificatePEM, [][]byte{ca.CertificatePEM()}, td, "n:1", t0)
	if err != nil {
		t.Fatal(err)
	}
	checkLeaf(t, leaf, issued)
	if want, _ := Fingerprint(&key.PublicKey); issued.KeyFingerprint != want || !key.PublicKey.Equal(leaf.PublicKey) {
		t.Error("the certificate is for another key")
	}
}

func checkLeaf(t *testing.T, leaf *x509.Certificate, issued *Issued) {
	t.Helper()
	if len(leaf.Subject.Names) != 0 || len(leaf.DNSNames) != 0 || leaf.IsCA || !leaf.BasicConstraintsValid {
		t.Errorf("subject %v, DNS %v, CA %v", leaf.Subject, leaf.DNSNames, leaf.IsCA)
	}
	if leaf.KeyUsage != x509.KeyUsageDigitalSignature || len(leaf.ExtKeyUsage) != 2 {
		t.Errorf("usage %v, extended %v", leaf.KeyUsage, leaf.ExtKeyUsage)
	}
	if len(issued.Serial) != 32 || issued.Serial != SerialOf(leaf) {
		t.Errorf("serial %q, certificate says %q", issued.Serial, SerialOf(leaf))
	}
	begin, end := t0.Add(-SkewMargin).Truncate(time.Second), t0.Add(time.Hour).Truncate(time.Second)
	if !leaf.NotBefore.Equal(begin) || !leaf.NotAfter.Equal(end) || !issued.NotBefore.Equal(begin) || !issued.NotAfter.Equal(end) {
		t.Errorf("valid from %v to %v", leaf.NotBefore, leaf.NotAfter)
	}
	for _, ext := range leaf.Extensions {
		if ext.Id.String() == "2.5.29.17" && !ext.Critical {
			t.Error("the SAN is not critical although the subject is empty")
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := newCA(t, td)
	csr, err := ParseCSR(newCSR(t, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	forged := *csr
	forged.PublicKey = &newKey(t).PublicKey
	for sentence, c := range map[string]struct {
		csr  *x509.CertificateRequest
		id   fleet.NodeID
		ttl  time.Duration
		now  time.Time
		want fleet.Reason
	}{
		"a ttl that outlives the root":       {csr, "n", 11 * 365 * 24 * time.Hour, t0, TTLOutlivesIssuer},
		"a ttl of zero":                      {csr, "n", 0, t0, TTLTooShort},
		"a ttl below zero":                   {csr, "n", -time.Hour, t0, TTLTooShort},
		"a ttl that is all margin":           {csr, "n", SkewMargin, t0, TTLTooShort},
		"a ttl that counts half a second":    {csr, "n", SkewMargin + time.Second/2, t0, TTLTooShort},
		"a root that is over":                {csr, "n", time.Hour, t0.AddDate(10, 0, 1), IssuerNotValid},
		"a request with another's signature": {&forged, "n", time.Hour, t0, CSRSignature},
		"an illegal node id":                 {csr, "a..b", time.Hour, t0, ""},
		"no request":                         {nil, "n", time.Hour, t0, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := ca.Issue(c.csr, c.id, c.ttl, c.now)
			if err == nil {
				t.Fatal("accepted")
			}
			wantCode(t, err, c.want)
		})
	}
}

func TestAnIssuerIsShortLivedBelowSixTTLs(t *testing.T) {
	ca := newCA(t, td)
	for left, want := range map[time.Duration]bool{6*time.Hour - time.Second: true, 6 * time.Hour: false, 5 * time.Hour: true, -time.Hour: true} {
		if got := ca.ShortLived(time.Hour, ca.NotAfter().Add(-left)); got != want {
			t.Errorf("with %s left: %v", left, got)
		}
	}
}

// The inventory warns of just those that are refused.
func TestTheShortestTTL(t *testing.T) {
	ca := newCA(t, td)
	csr, err := ParseCSR(newCSR(t, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	for ttl, refused := range map[string]bool{"2s": true, "29s": true, "30s": true, "31s": false, "1m": false} {
		inv, report := inventory.Parse([]byte("trust_domain: t\nquorum: {width: 1}\nenforcement: {require_sig: true}\n" +
			"regions: [{name: r, nodes: [{id: n, attestor: mtls-cert, cred_ttl: " + ttl + ", renew_before: 1s}]}]\n"))
		if inv == nil {
			t.Fatal(report.Err())
		}
		_, err := ca.Issue(csr, "n", inv.Regions[0].Nodes[0].CredTTL, t0)
		if refused && (err == nil || !strings.Contains(err.Error(), "write 31s or more")) || !refused && err != nil {
			t.Errorf("%s: got %v", ttl, err)
		}
		if warned := len(report.Warnings) == 1 && report.Warnings[0].Tag == inventory.TagCredTTLTooShort; warned != refused {
			t.Errorf("%s: refused is %v, but the inventory's warnings are %v", ttl, refused, report.Warnings)
		}
	}
}
