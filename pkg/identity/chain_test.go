package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func newIntermediate(t testing.TB, root *CA, region string) *CA {
	t.Helper()
	ca, created, err := OpenCA(CAConfig{
		Dir: filepath.Join(t.TempDir(), "region"), TrustDomain: root.trustDomain, Parent: root, Region: region,
	}, t0)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	return ca
}

// sign makes a certificate by hand, as an issuer that obeys nobody would.
func sign(t *testing.T, by *CA, tmpl *x509.Certificate, pub any) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by.cert, pub, by.signer)
	if err != nil {
		t.Fatal(err)
	}
	return toPEM(certBlock, der)
}

func join(pems ...[]byte) []byte { return bytes.Join(pems, nil) }

func TestAnIntermediateIsConfined(t *testing.T) {
	root := newCA(t, td)
	c := newIntermediate(t, root, "nyc").cert
	if !c.IsCA || !c.MaxPathLenZero || c.MaxPathLen != 0 || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("CA %v, path %d, usage %v", c.IsCA, c.MaxPathLen, c.KeyUsage)
	}
	if len(c.PermittedURIDomains) != 1 || c.PermittedURIDomains[0] != td || !c.PermittedDNSDomainsCritical {
		t.Errorf("permitted %v, critical %v", c.PermittedURIDomains, c.PermittedDNSDomainsCritical)
	}
	if !c.NotAfter.Equal(t0.Truncate(time.Second).AddDate(1, 0, 0)) || len(c.URIs) != 1 || c.URIs[0].String() != "spiffe://"+td {
		t.Errorf("ends %v, names %v", c.NotAfter, c.URIs)
	}
}

func TestAChainThroughAnIntermediate(t *testing.T) {
	root, stranger := newCA(t, td), newCA(t, td)
	nyc, sfo := newIntermediate(t, root, "nyc"), newIntermediate(t, root, "sfo")
	good, other := issue(t, nyc, "n").CertificatePEM, issue(t, sfo, "n").CertificatePEM
	leafOnly := splitPEM(good)[0]
	byRoot := issue(t, root, "n").CertificatePEM
	later := t0.AddDate(1, 0, 1)

	leafAsIssuer := func() []byte {
		key := newKey(t)
		csr, err := ParseCSR(newCSR(t, key))
		if err != nil {
			t.Fatal(err)
		}
		posing, err := root.Issue(csr, "evil", time.Hour, t0)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := parseCertificate(posing.CertificatePEM)
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := nyc.leafTemplate("n", time.Hour, t0)
		if err != nil {
			t.Fatal(err)
		}
		return join(sign(t, &CA{cert: cert, signer: key}, tmpl, &newKey(t).PublicKey), posing.CertificatePEM)
	}
	altered := func(change func(*x509.Certificate)) []byte {
		key := newKey(t)
		ca := &CA{trustDomain: td, region: "nyc", parent: root, signer: key}
		tmpl, err := ca.template(mustDomain(t), t0)
		if err != nil {
			t.Fatal(err)
		}
		change(tmpl)
		ca.certPEM = sign(t, root, tmpl, key.Public())
		if ca.cert, err = parseCertificate(ca.certPEM); err != nil {
			t.Fatal(err)
		}
		leaf, err := ca.leafTemplate("n", time.Hour, t0)
		if err != nil {
			t.Fatal(err)
		}
		return join(sign(t, ca, leaf, &newKey(t).PublicKey), ca.certPEM)
	}
	foreignName := func() []byte {
		tmpl, err := nyc.leafTemplate("n", time.Hour, t0)
		if err != nil {
			t.Fatal(err)
		}
		tmpl.URIs[0].Host = "other.example"
		return join(sign(t, nyc, tmpl, &newKey(t).PublicKey), nyc.certPEM)
	}
	for sentence, c := range map[string]struct {
		chain  []byte
		region string
		now    time.Time
		want   fleet.Reason
	}{
		"a node of the region is accepted":                      {good, "nyc", t0, ""},
		"whoever does not ask for the region gets any":          {other, "", t0, ""},
		"what the root signed itself is of every region":        {byRoot, "nyc", t0, ""},
		"the issuer of another region is refused":               {other, "nyc", t0, IssuerRegion},
		"a leaf without its intermediate is refused":            {leafOnly, "nyc", t0, ChainUntrusted},
		"a leaf beside another intermediate is refused":         {join(leafOnly, sfo.certPEM), "nyc", t0, ChainUntrusted},
		"the intermediate is no node":                           {nyc.certPEM, "nyc", t0, CertificateIsCA},
		"a leaf that has signed another leaf is no issuer":      {leafAsIssuer(), "nyc", t0, IssuerNotCA},
		"three certificates are too many":                       {join(good, nyc.certPEM), "nyc", t0, ChainTooDeep},
		"a hundred certificates are too many":                   {bytes.Repeat(good, 50), "nyc", t0, ChainTooDeep},
		"an intermediate of a stranger is a stranger":           {issue(t, newIntermediate(t, stranger, "nyc"), "n").CertificatePEM, "nyc", t0, ChainUntrusted},
		"the leaf's window counts":                              {good, "nyc", t0.Add(2 * time.Hour), CertificateExpired},
		"an intermediate that ended is over, as is its leaf":    {good, "nyc", later, CertificateExpired},
		"an intermediate that may sign CAs is refused":          {altered(func(c *x509.Certificate) { c.MaxPathLenZero, c.MaxPathLen = false, -1 }), "nyc", t0, IssuerNotConfined},
		"an intermediate without name constraints is refused":   {altered(func(c *x509.Certificate) { c.PermittedURIDomains = nil }), "nyc", t0, IssuerNotConfined},
		"an intermediate for another domain's names is refused": {altered(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"other.example"} }), "nyc", t0, IssuerNotConfined},
		"an intermediate that may not sign is refused":          {altered(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), "nyc", t0, IssuerNotCA},
		"an intermediate cannot sign another domain's names":    {foreignName(), "nyc", t0, IssuerNotConfined},
		"an intermediate without a region is of none":           {altered(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = nil }), "nyc", t0, IssuerRegion},
	} {
		t.Run(sentence, func(t *testing.T) {
			v := Verification{Roots: [][]byte{root.CertificatePEM()}, TrustDomain: td, Node: "n", Region: c.region, Now: c.now}
			leaf, err := v.Leaf(c.chain)
			wantCode(t, err, c.want)
			if c.want == "" && leaf == nil {
				t.Fatal("no leaf")
			}
		})
	}
}

func TestAnIntermediateEndsWithItsRoot(t *testing.T) {
	root := newCA(t, td)
	now := t0.AddDate(9, 6, 0)
	ca, _, err := OpenCA(CAConfig{Dir: t.TempDir(), TrustDomain: td, Parent: root, Region: "nyc"}, now)
	if err != nil || !ca.NotAfter().Equal(root.NotAfter()) {
		t.Fatalf("ends %v, the root %v, %v", ca.NotAfter(), root.NotAfter(), err)
	}
	csr, err := ParseCSR(newCSR(t, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ca.Issue(csr, "n", 365*24*time.Hour, now)
	wantCode(t, err, TTLOutlivesIssuer)
	if ca.ShortLived(24*time.Hour, now) || !ca.ShortLived(60*24*time.Hour, now) {
		t.Error("half a year is less than six times sixty days, and more than six days")
	}
}

func TestOpenCARefuses(t *testing.T) {
	root, stranger := newCA(t, td), newCA(t, td)
	nyc := newIntermediate(t, root, "nyc")
	dir := filepath.Join(t.TempDir(), "nyc")
	if _, _, err := OpenCA(CAConfig{Dir: dir, TrustDomain: td, Parent: root, Region: "nyc"}, t0); err != nil {
		t.Fatal(err)
	}
	for sentence, c := range map[string]struct {
		config CAConfig
		says   string
	}{
		"another region in the folder of one":   {CAConfig{Dir: dir, TrustDomain: td, Parent: root, Region: "sfo"}, `not of region "sfo"`},
		"another root than the one that signed": {CAConfig{Dir: dir, TrustDomain: td, Parent: stranger, Region: "nyc"}, "another root has signed it"},
		"an intermediate as a root":             {CAConfig{Dir: dir, TrustDomain: td}, `not of region ""`},
		"a region without a root":               {CAConfig{Dir: t.TempDir(), TrustDomain: td, Region: "nyc"}, "both a root and a region"},
		"a root without a region":               {CAConfig{Dir: t.TempDir(), TrustDomain: td, Parent: root}, "both a root and a region"},
		"an intermediate of an intermediate":    {CAConfig{Dir: t.TempDir(), TrustDomain: td, Parent: nyc, Region: "x"}, "cannot certify another"},
		"a root of another trust domain":        {CAConfig{Dir: t.TempDir(), TrustDomain: "other.example", Parent: root, Region: "nyc"}, "trust domain"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if _, _, err := OpenCA(c.config, t0); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestALongRegionIsNamedByItsDigest(t *testing.T) {
	root, long := newCA(t, td), strings.Repeat("région ", 20)
	chain := issue(t, newIntermediate(t, root, long), "n").CertificatePEM
	v := Verification{Roots: [][]byte{root.CertificatePEM()}, TrustDomain: td, Node: "n", Region: long, Now: t0}
	if _, err := v.Leaf(chain); err != nil {
		t.Fatal(err)
	}
	v.Region += "2"
	_, err := v.Leaf(chain)
	wantCode(t, err, IssuerRegion)
}

func TestRevocationLists(t *testing.T) {
	root := newCA(t, td)
	nyc, sfo := newIntermediate(t, root, "nyc"), newIntermediate(t, root, "sfo")
	gone, kept := issue(t, nyc, "n"), issue(t, nyc, "n")
	list := func(ca *CA, serials ...string) []byte {
		var revoked []Revoked
		for _, s := range serials {
			revoked = append(revoked, Revoked{Serial: s, At: t0})
		}
		der, err := ca.CRL(revoked, 7, t0, t0.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	issuers := [][]byte{root.CertificatePEM(), nyc.CertificatePEM(), sfo.CertificatePEM()}
	for sentence, c := range map[string]struct {
		der   []byte
		chain []byte
		want  fleet.Reason
	}{
		"what the list names is revoked":            {list(nyc, gone.Serial), gone.CertificatePEM, CertificateRevoked},
		"what it does not name is not":              {list(nyc, gone.Serial), kept.CertificatePEM, ""},
		"an empty list revokes nothing":             {list(nyc), gone.CertificatePEM, ""},
		"another issuer's list says nothing of it":  {list(sfo, gone.Serial), gone.CertificatePEM, ""},
		"the root's list can name the intermediate": {list(root, SerialOf(nyc.cert)), kept.CertificatePEM, CertificateRevoked},
	} {
		t.Run(sentence, func(t *testing.T) {
			crl, err := ParseCRL(c.der, issuers...)
			if err != nil || crl.Number().Uint64() != 7 || !crl.NextUpdate().Equal(t0.Add(time.Hour).Truncate(time.Second)) {
				t.Fatal(err)
			}
			v := Verification{Roots: issuers[:1], TrustDomain: td, Node: "n", CRLs: []*CRL{crl}, Now: t0}
			_, err = v.Leaf(c.chain)
			wantCode(t, err, c.want)
		})
	}
	_, err := ParseCRL(list(newCA(t, td), gone.Serial), issuers...)
	wantCode(t, err, CRLSignature)
	_, err = ParseCRL([]byte("x"), issuers...)
	wantCode(t, err, CRLUnparsable)
	if _, err := nyc.CRL([]Revoked{{Serial: "xyz"}}, 1, t0, t0.Add(time.Hour)); err == nil {
		t.Error("a serial that is no number was signed")
	}
}

func TestSPIFFEBundle(t *testing.T) {
	a, b := newCA(t, td), newCA(t, td)
	text, err := SPIFFEBundle(td, [][]byte{a.CertificatePEM(), b.CertificatePEM()}, 12, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	roots, sequence, err := ParseSPIFFEBundle(td, text)
	if err != nil || sequence != 12 || len(roots) != 2 || !bytes.Equal(join(roots...), join(a.CertificatePEM(), b.CertificatePEM())) {
		t.Fatalf("%d roots at %d, %v", len(roots), sequence, err)
	}
	for sentence, text := range map[string]string{
		"text":               "x",
		"no keys":            `{"keys":[]}`,
		"a bundle too large": `{"keys":[` + strings.Repeat(" ", maxBundleBytes) + `]}`,
	} {
		_, _, err := ParseSPIFFEBundle(td, []byte(text))
		if fleet.ReasonOf(err) != BundleUnparsable {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func mustDomain(t *testing.T) spiffeid.TrustDomain {
	t.Helper()
	domain, err := parseTrustDomain(td)
	if err != nil {
		t.Fatal(err)
	}
	return domain
}
