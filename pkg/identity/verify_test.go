package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// forge signs a leaf for node n with ca's key after change has spoiled it.
func forge(t *testing.T, ca *CA, change func(*x509.Certificate)) []byte {
	t.Helper()
	tmpl, err := ca.leafTemplate("n", time.Hour, t0)
	if err != nil {
		t.Fatal(err)
	}
	change(tmpl)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &newKey(t).PublicKey, ca.signer)
	if err != nil {
		t.Fatal(err)
	}
	return toPEM(certBlock, der)
}

// withOtherName adds a principal's name, as some directories read it, to the URI.
func withOtherName(t *testing.T) func(*x509.Certificate) {
	type otherName struct {
		Type asn1.ObjectIdentifier
		Name string `asn1:"explicit,tag:0,utf8"`
	}
	return func(c *x509.Certificate) {
		principal, err := asn1.MarshalWithParams(otherName{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, "root@example.org"}, "tag:0")
		if err != nil {
			t.Fatal(err)
		}
		uri := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(c.URIs[0].String())}
		value, err := asn1.Marshal([]asn1.RawValue{uri, {FullBytes: principal}})
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: value}}
	}
}

func TestVerifyLeaf(t *testing.T) {
	ca, stranger := newCA(t, td), newCA(t, td)
	good := issue(t, ca, "n").CertificatePEM
	foreign := issue(t, stranger, "n").CertificatePEM
	tampered := bytes.Clone(good)
	tampered[len(tampered)/2] ^= 1
	end := t0.Add(time.Hour).Truncate(time.Second)

	for sentence, c := range map[string]struct {
		leaf []byte
		id   fleet.NodeID
		now  time.Time
		want fleet.Reason
	}{
		"the node's own leaf is accepted":          {good, "n", t0, ""},
		"the first second counts":                  {good, "n", t0.Add(-SkewMargin).Truncate(time.Second), ""},
		"the last second counts":                   {good, "n", end, ""},
		"after the last second it is over":         {good, "n", end.Add(1), CertificateExpired},
		"before the first second it has not begun": {good, "n", t0.Add(-SkewMargin - time.Second), CertificateNotYetValid},
		"another node's leaf is refused":           {good, "m", t0, SPIFFEIDMismatch},
		"a leaf of another root is refused":        {foreign, "n", t0, ChainUntrusted},
		"an expired stranger is a stranger":        {foreign, "n", end.Add(time.Hour), ChainUntrusted},
		"the root does not belong into a chain":    {append(bytes.Clone(good), ca.CertificatePEM()...), "n", t0, IssuerNotConfined},
		"a text after the leaf is refused":         {append(bytes.Clone(good), "x"...), "n", t0, CertificateUnparsable},
		"two blocks on one line are refused":       {append(bytes.TrimSpace(good), ca.CertificatePEM()...), "n", t0, CertificateUnparsable},
		"text is refused":                          {[]byte("x"), "n", t0, CertificateUnparsable},
		"nothing is refused":                       {nil, "n", t0, CertificateUnparsable},
		"the root itself is no node":               {ca.CertificatePEM(), "n", t0, CertificateIsCA},
		"a leaf that poses as a CA is refused":     {forge(t, ca, func(c *x509.Certificate) { c.IsCA = true }), "n", t0, CertificateIsCA},
		"a leaf that may sign certificates is refused": {forge(t, ca, func(c *x509.Certificate) {
			c.KeyUsage |= x509.KeyUsageCertSign
		}), "n", t0, CertificateIsCA},
		"a leaf that may not sign is refused": {forge(t, ca, func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageKeyAgreement
		}), "n", t0, CertificateKeyUsage},
		"a leaf with two URIs is refused": {forge(t, ca, func(c *x509.Certificate) {
			c.URIs = append(c.URIs, &url.URL{Scheme: "spiffe", Host: td, Path: "/m"})
		}), "n", t0, SPIFFEIDMismatch},
		"a leaf without a URI is refused": {forge(t, ca, func(c *x509.Certificate) {
			c.URIs, c.DNSNames = nil, []string{"n"}
		}), "n", t0, SPIFFEIDMismatch},
		"a leaf with a name besides its URI is refused": {forge(t, ca, func(c *x509.Certificate) {
			c.EmailAddresses = []string{"m@example.org"}
		}), "n", t0, SPIFFEIDMismatch},
		"a leaf with a name that x509 does not read is refused": {forge(t, ca, withOtherName(t)), "n", t0, SPIFFEIDMismatch},
		"a leaf of another trust domain is refused": {forge(t, ca, func(c *x509.Certificate) {
			c.URIs[0].Host = "other.example"
		}), "n", t0, SPIFFEIDMismatch},
	} {
		t.Run(sentence, func(t *testing.T) {
			leaf, err := VerifyLeaf(c.leaf, [][]byte{ca.CertificatePEM()}, td, c.id, c.now)
			wantCode(t, err, c.want)
			if (leaf != nil) != (c.want == "") {
				t.Fatalf("leaf %v, %v", leaf != nil, err)
			}
		})
	}
	if _, err := VerifyLeaf(tampered, [][]byte{ca.CertificatePEM()}, td, "n", t0); fleet.ReasonOf(err) == "" {
		t.Fatalf("a tampered leaf: %v", err)
	}
	_, err := VerifyLeaf(good, nil, td, "n", t0)
	wantCode(t, err, ChainUntrusted)
	_, err = VerifyLeaf(good, [][]byte{[]byte("x")}, td, "n", t0)
	wantCode(t, err, ChainUntrusted)
	if _, err := VerifyLeaf(good, [][]byte{[]byte("x"), ca.CertificatePEM()}, td, "n", t0); err != nil {
		t.Fatalf("an unreadable root takes something from another: %v", err)
	}
}
