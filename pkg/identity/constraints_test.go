package identity

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Others trust the bundle as well, such as a TLS server with no notion of nodes. To
// them a region's issuer must not be able to name a host, an address or a person.
func TestAnIntermediateNamesNothingButNodesOfItsDomain(t *testing.T) {
	root := newCA(t, td)
	ca := newIntermediate(t, root, "nyc")
	for sentence, c := range map[string]struct {
		change func(*x509.Certificate)
		want   fleet.Reason
	}{
		"a node of its domain": {func(*x509.Certificate) {}, ""},
		"another domain":       {func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "other.example", Path: "/n"}} }, IssuerNotConfined},
		"a domain below its own": {func(c *x509.Certificate) {
			c.URIs = []*url.URL{{Scheme: "spiffe", Host: "sub." + td, Path: "/n"}}
		}, SPIFFEIDMismatch},
		"a host beside the node":       {func(c *x509.Certificate) { c.DNSNames = []string{"bus.example"} }, IssuerNotConfined},
		"a host alone":                 {func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{"localhost"} }, IssuerNotConfined},
		"an address":                   {func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)} }, IssuerNotConfined},
		"an address of IPv6":           {func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv6loopback} }, IssuerNotConfined},
		"a mailbox":                    {func(c *x509.Certificate) { c.EmailAddresses = []string{"root@fleet.example"} }, IssuerNotConfined},
		"what looks like no name: two": {func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }, SPIFFEIDMismatch},
	} {
		t.Run(sentence, func(t *testing.T) {
			tmpl, err := ca.leafTemplate("n", time.Hour, t0)
			if err != nil {
				t.Fatal(err)
			}
			c.change(tmpl)
			chain := join(sign(t, ca, tmpl, &newKey(t).PublicKey), ca.CertificatePEM())
			_, err = VerifyLeaf(chain, [][]byte{root.CertificatePEM()}, td, "n", t0)
			wantCode(t, err, c.want)
		})
	}
}

// Whatever trust domain and region an inventory may name, its intermediate works.
func TestAnIntermediateOfOddNames(t *testing.T) {
	const other = "fleet_x.example"
	for region, domain := range map[string]string{
		"nyc": "t", "Zürich": "127.1", "a/../b": "1-2.3_4", "x\ty": "a--b", "\u202e": other,
		// The name of the issuer is cut within a character.
		"東京東京東京東京東京東京東京東京東京東京東京": other,
	} {
		root := newCA(t, domain)
		ca, _, err := OpenCA(CAConfig{Dir: filepath.Join(t.TempDir(), "ca"), TrustDomain: domain, Parent: root, Region: region}, t0)
		if err != nil {
			t.Errorf("%q, region %q: %v", domain, region, err)
			continue
		}
		_, err = Verification{Roots: [][]byte{root.CertificatePEM()}, TrustDomain: domain, Node: "n", Region: region, Now: t0}.Leaf(issue(t, ca, "n").CertificatePEM)
		if err != nil {
			t.Errorf("%q, region %q: %v", domain, region, err)
		}
	}
}

// A constraint cannot name an address: that has to be said before there is a
// certificate that nobody can read.
func TestAnAddressIsNoDomainOfAnIntermediate(t *testing.T) {
	root := newCA(t, "10.0.0.1")
	dir := filepath.Join(t.TempDir(), "ca")
	_, _, err := OpenCA(CAConfig{Dir: dir, TrustDomain: "10.0.0.1", Parent: root, Region: "nyc"}, t0)
	if err == nil || !strings.Contains(err.Error(), "intermediate_ca") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}
