package attest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// issuer is a CA as a site may have one for its TLS clients.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newIssuer(t testing.TB, by *issuer, name string) *issuer {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	made := &issuer{key: key}
	if by == nil {
		by = &issuer{cert: tmpl, key: key}
	}
	made.pem = by.sign(t, tmpl, key)
	block, _ := pem.Decode(made.pem)
	made.cert, _ = x509.ParseCertificate(block.Bytes)
	return made
}

func (i *issuer) sign(t testing.TB, tmpl *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	if tmpl.NotBefore.IsZero() {
		tmpl.NotBefore, tmpl.NotAfter = t0.Add(-time.Hour), t0.Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, i.cert, key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func client(names ...func(*x509.Certificate)) *x509.Certificate {
	tmpl := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	for _, name := range names {
		name(tmpl)
	}
	return tmpl
}

func cn(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.CommonName = name }
}

func cns(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, name := range names {
			c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: name})
		}
	}
}

func dns(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func uri(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, name := range names {
			u, err := url.Parse(name)
			if err != nil {
				panic(err)
			}
			c.URIs = append(c.URIs, u)
		}
	}
}

// write puts a pair into files, as a node has it.
func write(t testing.TB, cert []byte, key crypto.Signer) ClientCertificate {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := ClientCertificate{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	for path, data := range map[string][]byte{
		p.CertFile: cert, p.KeyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func authority(t testing.TB, roots ...[]byte) CertificateAuthority {
	t.Helper()
	path := filepath.Join(t.TempDir(), "attest-ca.crt")
	if err := os.WriteFile(path, []byte(strings.Join(asStrings(roots), "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return CertificateAuthority{File: path, Now: func() time.Time { return t0 }}
}

func asStrings(parts [][]byte) (s []string) {
	for _, p := range parts {
		s = append(s, string(p))
	}
	return s
}

func challenge(node fleet.NodeID) Challenge {
	return Challenge{TrustDomain: "fleet.example", Node: node, Nonce: "a-nonce", CSRPEM: "a request", KeyFingerprint: "sha256:1"}
}

func TestMTLSCertByName(t *testing.T) {
	ca := newIssuer(t, nil, "site")
	stranger := newIssuer(t, nil, "site")
	region := newIssuer(t, ca, "region")
	ed, rs := ed25519Key(t), rsaKey(t, 2048)
	for sentence, c := range map[string]struct {
		by   *issuer
		tmpl *x509.Certificate
		key  crypto.Signer
		node fleet.NodeID
		want fleet.Reason
	}{
		"the common name is the node":                         {ca, client(cn("node-1")), nil, "node-1", ""},
		"another common name is another node":                 {ca, client(cn("node-1")), nil, "node-2", ReasonName},
		"a common name is compared byte for byte":             {ca, client(cn("Node-1")), nil, "node-1", ReasonName},
		"a DNS name goes before the common name":              {ca, client(cn("node-1"), dns("node-2")), nil, "node-2", ""},
		"the common name beside a DNS name is none":           {ca, client(cn("node-1"), dns("node-2")), nil, "node-1", ReasonName},
		"two DNS names name nobody":                           {ca, client(dns("node-1", "node-2")), nil, "node-1", ReasonName},
		"a wildcard is no node":                               {ca, client(dns("*")), nil, "node-1", ReasonName},
		"a URI goes before a DNS name":                        {ca, client(dns("node-1"), uri("spiffe://fleet.example/node-2")), nil, "node-2", ""},
		"the DNS name beside a URI is none":                   {ca, client(dns("node-1"), uri("spiffe://fleet.example/node-2")), nil, "node-1", ReasonName},
		"a SPIFFE ID of another trust domain is another node": {ca, client(uri("spiffe://other.example/node-1")), nil, "node-1", ReasonName},
		"an id that is a URI is named by itself":              {ca, client(uri("spiffe://other.example/ns/a")), nil, "spiffe://other.example/ns/a", ""},
		"an escaped SPIFFE ID names its node":                 {ca, client(uri("spiffe://fleet.example/_enc/a_40b")), nil, "a@b", ""},
		"two URIs name nobody":                                {ca, client(uri("spiffe://fleet.example/node-1", "spiffe://fleet.example/node-2")), nil, "node-1", ReasonName},
		"two common names name nobody":                        {ca, client(cns("node-2", "node-1")), nil, "node-1", ReasonName},
		"no name at all is nobody":                            {ca, client(), nil, "node-1", ReasonName},
		"an Ed25519 key will do":                              {ca, client(cn("node-1")), ed, "node-1", ""},
		"an RSA key will do":                                  {ca, client(cn("node-1")), rs, "node-1", ""},
		"another CA's client is a stranger":                   {stranger, client(cn("node-1")), nil, "node-1", ReasonCertificate},
		"a client of an intermediate without it is one, too":  {region, client(cn("node-1")), nil, "node-1", ReasonCertificate},
		"a server's certificate is no client's": {ca, client(cn("node-1"), func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), nil, "node-1", ReasonCertificate},
		"a certificate that has ended is refused": {ca, client(cn("node-1"), func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = t0.Add(-2*time.Hour), t0.Add(-time.Hour)
		}), nil, "node-1", ReasonCertificate},
		"a certificate that has not begun is refused": {ca, client(cn("node-1"), func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = t0.Add(time.Hour), t0.Add(2*time.Hour)
		}), nil, "node-1", ReasonCertificate},
		"a CA is no client": {ca, client(cn("node-1"), func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
		}), nil, "node-1", ReasonCertificate},
	} {
		t.Run(sentence, func(t *testing.T) {
			key := c.key
			if key == nil {
				key = newKey(t)
			}
			prover := write(t, c.by.sign(t, c.tmpl, key), key)
			want(t, prove(t, prover, authority(t, ca.pem), challenge(c.node), challenge(c.node)), c.want)
		})
	}
	key := newKey(t)
	withChain := write(t, append(region.sign(t, client(cn("node-1")), key), region.pem...), key)
	want(t, prove(t, withChain, authority(t, stranger.pem, ca.pem), challenge("node-1"), challenge("node-1")), "")
}

// Evidence counts for the one challenge that it answers.
func TestMTLSCertForAnotherChallenge(t *testing.T) {
	ca, key := newIssuer(t, nil, "site"), newKey(t)
	prover := write(t, ca.sign(t, client(cn("node-1")), key), key)
	asked := challenge("node-1")
	for sentence, change := range map[string]func(*Challenge){
		"another nonce":        func(c *Challenge) { c.Nonce = "another" },
		"another request":      func(c *Challenge) { c.CSRPEM = "another" },
		"another trust domain": func(c *Challenge) { c.TrustDomain = "other.example" },
		"shifted borders":      func(c *Challenge) { c.TrustDomain, c.Nonce = "fleet.examplen", "-nonce" },
	} {
		judged := asked
		change(&judged)
		if reason := fleet.ReasonOf(prove(t, prover, authority(t, ca.pem), asked, judged)); reason != ReasonSignature {
			t.Errorf("%s: %q", sentence, reason)
		}
	}
}

func TestMTLSCertMalformed(t *testing.T) {
	ca, key := newIssuer(t, nil, "site"), newKey(t)
	good := string(ca.sign(t, client(cn("node-1")), key))
	verifier := authority(t, ca.pem)
	for sentence, e := range map[string]Evidence{
		"nothing":                 {},
		"text":                    {CertificatePEM: "x"},
		"a key":                   {CertificatePEM: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		"a damaged certificate":   {CertificatePEM: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
		"a chain too long":        {CertificatePEM: strings.Repeat(good, maxChain+1)},
		"a megabyte":              {CertificatePEM: strings.Repeat("x", 1<<20)},
		"rubbish after the chain": {CertificatePEM: good + "-----BEGIN X-----\nAAAA\n-----END X-----\n"},
	} {
		if reason := fleet.ReasonOf(verifier.Verify(t.Context(), challenge("node-1"), e)); reason != ReasonMalformed {
			t.Errorf("%s: %q", sentence, reason)
		}
	}
	for sentence, signature := range map[string][]byte{"no signature": nil, "rubbish": []byte("x"), "a megabyte": make([]byte, 1<<20)} {
		e := Evidence{CertificatePEM: good, Signature: signature}
		if reason := fleet.ReasonOf(verifier.Verify(t.Context(), challenge("node-1"), e)); reason != ReasonSignature {
			t.Errorf("%s: %q", sentence, reason)
		}
	}
}

// Without a CA to verify by, nobody is let through, and nobody is to blame.
func TestAnEmptyAuthorityLetsNobodyThrough(t *testing.T) {
	key := newKey(t)
	self := newIssuer(t, nil, "node-1")
	prover := write(t, self.sign(t, client(cn("node-1")), key), key)
	for sentence, verifier := range map[string]CertificateAuthority{
		"an empty file": authority(t), "no file": {File: filepath.Join(t.TempDir(), "missing")}, "nothing configured": {},
	} {
		err := prove(t, prover, verifier, challenge("node-1"), challenge("node-1"))
		if err == nil || fleet.ReasonOf(err) != "" || verifier.Check() == nil {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestShortRSAKeysDoNotCount(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key := rsaKey(t, 1024)
	message := []byte("x")
	signature, err := sign(key, message)
	if err != nil {
		t.Fatal(err)
	}
	if verified(key.Public(), message, signature) {
		t.Error("a key of 1024 bits counts")
	}
}

func prove(t testing.TB, p Prover, v Verifier, asked, judged Challenge) error {
	t.Helper()
	evidence, err := Provers{fleet.AttestorMTLSCert: p}.Prove(context.Background(), fleet.AttestorMTLSCert, asked)
	if err != nil {
		t.Fatal(err)
	}
	return Verifiers{fleet.AttestorMTLSCert: v}.Verify(context.Background(), fleet.AttestorMTLSCert, judged, evidence)
}

func want(t testing.TB, err error, reason fleet.Reason) {
	t.Helper()
	if reason == "" && err != nil || fleet.ReasonOf(err) != reason {
		t.Fatalf("got %v, want %q", err, reason)
	}
}

func ed25519Key(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
