package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const (
	rootYears         = 10
	intermediateYears = 1
	// noHost is a name that no host ever has (RFC 6761).
	noHost = "invalid"
	// maxX520 is what X.520 allows a common name or an organizational unit.
	maxX520 = 64
)

// create says false, and no error, when another process was faster.
func (ca *CA) create(path string, td spiffeid.TrustDomain, now time.Time) (bool, error) {
	tmpl, err := ca.template(td, now)
	if err != nil {
		return false, err
	}
	parent, signer := tmpl, ca.signer
	if ca.parent != nil {
		parent, signer = ca.parent.cert, ca.parent.signer
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, ca.signer.Public(), signer)
	if err != nil {
		return false, fmt.Errorf("sign %s: %w", ca.what(), err)
	}
	err = createFile(path, toPEM(certBlock, der), 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// template is a root's certificate, or an intermediate's: that may sign leaves
// only, of this trust domain only, and says for which region.
func (ca *CA) template(td spiffeid.TrustDomain, now time.Time) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(ca.signer.Public())
	if err != nil {
		return nil, fmt.Errorf("encode key of %s: %w", ca.what(), err)
	}
	keyID := sha256.Sum256(spki)
	now = now.UTC().Truncate(time.Second)
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: cut("fleetfold root " + td.Name())},
		URIs:                  []*url.URL{td.ID().URL()},
		NotBefore:             now.Add(-SkewMargin),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLen:            1,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId:          keyID[:20],
	}
	if ca.parent != nil {
		ca.confine(tmpl, now)
	}
	return tmpl, nil
}

// confine makes a root's template an intermediate's.
func (ca *CA) confine(tmpl *x509.Certificate, now time.Time) {
	tmpl.Subject = pkix.Name{
		CommonName:         cut("fleetfold region " + ca.region),
		OrganizationalUnit: []string{RegionLabel(ca.region)},
	}
	tmpl.MaxPathLen, tmpl.MaxPathLenZero = 0, true
	tmpl.PermittedDNSDomainsCritical = true // of all name constraints
	tmpl.PermittedURIDomains = []string{ca.trustDomain}
	// Others trust the bundle, too: to them it must not name hosts or people. Not
	// every reader takes an empty text for all mailboxes.
	tmpl.ExcludedDNSDomains = []string{""}
	tmpl.PermittedEmailAddresses = []string{noHost}
	tmpl.ExcludedIPRanges = everyAddress()
	tmpl.NotAfter = now.AddDate(intermediateYears, 0, 0)
	if end := ca.parent.cert.NotAfter; end.Before(tmpl.NotAfter) {
		tmpl.NotAfter = end
	}
}

// everyAddress is all of IPv4 and all of IPv6.
func everyAddress() []*net.IPNet {
	return []*net.IPNet{
		{IP: make(net.IP, net.IPv4len), Mask: make(net.IPMask, net.IPv4len)},
		{IP: make(net.IP, net.IPv6len), Mask: make(net.IPMask, net.IPv6len)},
	}
}

// RegionLabel is how a certificate names a region: by its name, or by a digest
// of it where that is too long.
func RegionLabel(region string) string {
	if len(region) <= maxX520 {
		return region
	}
	sum := sha256.Sum256([]byte(region))
	return "sha256:" + hex.EncodeToString(sum[:28])
}

// RegionOf is the label in an issuer's certificate; empty for a root.
func RegionOf(cert *x509.Certificate) string {
	if len(cert.Subject.OrganizationalUnit) != 1 {
		return ""
	}
	return cert.Subject.OrganizationalUnit[0]
}

// cut keeps the characters that are left whole: a certificate has to be UTF-8.
func cut(name string) string {
	if len(name) <= maxX520 {
		return name
	}
	return strings.ToValidUTF8(name[:maxX520], "")
}
