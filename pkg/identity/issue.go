package identity

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Issued is one credential.
type Issued struct {
	// CertificatePEM is the chain without its root: the leaf, and after it the
	// intermediate if one has signed.
	CertificatePEM []byte
	// Serial is the certificate's number: 128 random bits as 32 lower-case hex
	// digits, as [SerialOf] gives it.
	Serial string
	// NotBefore and NotAfter bound the validity, both included; UTC, whole seconds.
	NotBefore, NotAfter time.Time
	// KeyFingerprint is the Fingerprint of the certified key.
	KeyFingerprint string
	// Issuer is the Fingerprint of the key that has signed.
	Issuer string
}

// SerialOf returns the serial number of a certificate as 32 lower-case hex
// digits (more for a longer number of a foreign issuer).
func SerialOf(cert *x509.Certificate) string { return fmt.Sprintf("%032x", cert.SerialNumber) }

// Issue certifies the key of csr as node id's from SkewMargin before now until
// now plus ttl, cut to whole seconds. Of the request only the key is taken.
//
// The caller has attested the node. A request that ParseCSR would refuse, a
// ttl that does not leave a second once SkewMargin is taken off its end, and one
// that outlives the issuer's own certificate are a *Refusal.
func (ca *CA) Issue(csr *x509.CertificateRequest, id fleet.NodeID, ttl time.Duration, now time.Time) (*Issued, error) {
	if csr == nil {
		return nil, errors.New("issue credential: no certificate request given")
	}
	if err := checkCSR(csr); err != nil {
		return nil, fmt.Errorf("issue credential: %w", err)
	}
	tmpl, err := ca.leafTemplate(id, ttl, now)
	if err != nil {
		return nil, fmt.Errorf("issue credential: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, csr.PublicKey, ca.signer)
	if err != nil {
		return nil, fmt.Errorf("issue credential: %w", err)
	}
	fingerprint, err := Fingerprint(csr.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issue credential: %w", err)
	}
	return &Issued{
		CertificatePEM: append(toPEM(certBlock, der), ca.intermediatePEM()...), Serial: SerialOf(tmpl),
		NotBefore: tmpl.NotBefore, NotAfter: tmpl.NotAfter, KeyFingerprint: fingerprint,
		Issuer: ca.Fingerprint(),
	}, nil
}

// ShortLived says that the issuer's certificate ends so soon that a person
// should see to it: less than six lives of a credential from now.
func (ca *CA) ShortLived(ttl time.Duration, now time.Time) bool {
	return ca.cert.NotAfter.Sub(now) < 6*ttl
}

func (ca *CA) intermediatePEM() []byte {
	if ca.parent == nil {
		return nil
	}
	return ca.certPEM
}

// leafTemplate leaves the subject empty, so that the SPIFFE ID is the only
// name; x509 then marks the SAN extension critical, as RFC 5280 asks.
func (ca *CA) leafTemplate(id fleet.NodeID, ttl time.Duration, now time.Time) (*x509.Certificate, error) {
	if now.Before(ca.cert.NotBefore) || now.After(ca.cert.NotAfter) {
		return nil, refuse(IssuerNotValid, "the "+ca.what()+" is valid from "+
			ca.cert.NotBefore.Format(time.RFC3339)+" to "+ca.cert.NotAfter.Format(time.RFC3339))
	}
	notAfter := now.UTC().Add(ttl).Truncate(time.Second)
	// One that never counts would be asked for again and again.
	if ttl < SkewMargin+time.Second {
		return nil, refuse(TTLTooShort, fmt.Sprintf(
			"cred_ttl is %s, but a credential counts until %s before its end only: write %s or more", ttl, SkewMargin, SkewMargin+time.Second))
	}
	if notAfter.After(ca.cert.NotAfter) {
		return nil, refuse(TTLOutlivesIssuer, "the "+ca.what()+" ends at "+ca.cert.NotAfter.Format(time.RFC3339)+
			", before the credential would at "+notAfter.Format(time.RFC3339))
	}
	name, err := SPIFFEID(ca.trustDomain, id)
	if err != nil {
		return nil, err
	}
	uri, err := url.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("parse SPIFFE ID: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		URIs:                  []*url.URL{uri},
		NotBefore:             now.UTC().Add(-SkewMargin).Truncate(time.Second),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, nil
}
