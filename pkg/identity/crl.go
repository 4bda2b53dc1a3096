package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// maxCRLBytes bounds a revocation list: about 400,000 entries.
const maxCRLBytes = 16 << 20

// Revoked is one entry of a revocation list.
type Revoked struct {
	// Serial in lower-case hex, as SerialOf gives it.
	Serial string
	// At is when it was revoked.
	At time.Time
	// Superseded says that nothing is wrong with it, but that its holder has a newer
	// one in use.
	Superseded bool
}

// SupersededAfter is how long a certificate counts after the next one of its node
// was proved: the node may hear late that it was, and signs with the old one until
// then.
const SupersededAfter = 5 * time.Minute

// reasonSuperseded is the CRL reason code of RFC 5280.
const reasonSuperseded = 4

// CRL is a revocation list (RFC 5280) whose signature was verified.
type CRL struct {
	list    *x509.RevocationList
	serials map[string]int // reason codes
}

// CRL returns the DER revocation list of what this issuer has signed and
// revoked. number must grow from list to list; next is when a reader should
// look for another one, and must lie behind now.
func (ca *CA) CRL(revoked []Revoked, number uint64, now, next time.Time) ([]byte, error) {
	tmpl := &x509.RevocationList{
		Number: new(big.Int).SetUint64(number), ThisUpdate: now.UTC().Truncate(time.Second), NextUpdate: next.UTC().Truncate(time.Second),
	}
	for _, r := range revoked {
		serial, ok := new(big.Int).SetString(r.Serial, 16)
		if !ok || serial.Sign() <= 0 {
			return nil, fmt.Errorf("sign revocation list: serial %q is not a number in hex", r.Serial)
		}
		entry := x509.RevocationListEntry{SerialNumber: serial, RevocationTime: r.At.UTC().Truncate(time.Second)}
		if r.Superseded {
			entry.ReasonCode = reasonSuperseded
		}
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries, entry)
	}
	der, err := x509.CreateRevocationList(rand.Reader, tmpl, ca.cert, ca.signer)
	if err != nil {
		return nil, fmt.Errorf("sign revocation list: %w", err)
	}
	return der, nil
}

// CRLPEM is a DER revocation list as PEM.
func CRLPEM(der []byte) []byte { return toPEM("X509 CRL", der) }

// ParseCRL reads a DER revocation list and checks that one of the issuers, PEM
// certificates of roots or intermediates, has signed it. Errors about the list
// are a *Refusal.
func ParseCRL(der []byte, issuers ...[]byte) (*CRL, error) {
	if len(der) > maxCRLBytes {
		return nil, refuse(CRLUnparsable, fmt.Sprintf("it is %d bytes long, at most %d are allowed", len(der), maxCRLBytes))
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, refuse(CRLUnparsable, err.Error())
	}
	certs := readableRoots(issuers)
	err = errors.New("no issuer is known")
	for _, cert := range certs {
		if err = list.CheckSignatureFrom(cert); err == nil {
			break
		}
	}
	if err != nil {
		return nil, refuse(CRLSignature, "none of the known issuers has signed the list: "+err.Error())
	}
	c := &CRL{list: list, serials: make(map[string]int, len(list.RevokedCertificateEntries))}
	for _, entry := range list.RevokedCertificateEntries {
		c.serials[fmt.Sprintf("%032x", entry.SerialNumber)] = entry.ReasonCode
	}
	return c, nil
}

// Number grows from list to list of one issuer.
func (c *CRL) Number() *big.Int { return new(big.Int).Set(c.list.Number) }

// NextUpdate is when the issuer meant to have published another list.
func (c *CRL) NextUpdate() time.Time { return c.list.NextUpdate }

// Lists says that the list's issuer has signed the certificate, and revoked it.
func (c *CRL) Lists(cert *x509.Certificate) bool { return c.Reason(cert) != "" }

// Reason is why the list's issuer has revoked a certificate that it signed:
// CertificateRevoked or CertificateSuperseded; empty if it has not.
func (c *CRL) Reason(cert *x509.Certificate) fleet.Reason {
	code, listed := c.serials[SerialOf(cert)]
	switch {
	case !listed || !bytes.Equal(c.list.AuthorityKeyId, cert.AuthorityKeyId) || !bytes.Equal(c.list.RawIssuer, cert.RawIssuer):
		return ""
	case code == reasonSuperseded:
		return CertificateSuperseded
	}
	return CertificateRevoked
}

// RefuseListed is a *Refusal if one of the lists names one of the certificates.
func RefuseListed(lists []*CRL, chain []*x509.Certificate) error {
	for _, cert := range chain {
		for _, crl := range lists {
			switch reason := crl.Reason(cert); reason {
			case "":
			case CertificateSuperseded:
				return refuse(reason, "another certificate has taken the place of certificate "+SerialOf(cert))
			default:
				return refuse(reason, "certificate "+SerialOf(cert)+" was revoked")
			}
		}
	}
	return nil
}

// KeyIDOf is the subject key identifier of the issuers of this package, lower-case
// hex, made from the Fingerprint of their key; empty if that is none.
func KeyIDOf(fingerprint string) string {
	const digits = 40
	hexes, ok := strings.CutPrefix(fingerprint, "sha256:")
	if !ok || len(hexes) < digits {
		return ""
	}
	return hexes[:digits]
}
