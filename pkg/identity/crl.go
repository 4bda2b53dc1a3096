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
)

// maxCRLBytes bounds a revocation list: about 400,000 entries.
const maxCRLBytes = 16 << 20

// Revoked is one entry of a revocation list.
type Revoked struct {
	// Serial in lower-case hex, as SerialOf gives it.
	Serial string
	// At is when it was revoked.
	At time.Time
}

// CRL is a revocation list (RFC 5280) whose signature was verified.
type CRL struct {
	list    *x509.RevocationList
	serials map[string]bool
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
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: r.At.UTC().Truncate(time.Second),
		})
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
	certs := readableRoots(issuers, nil)
	err = errors.New("no issuer is known")
	for _, cert := range certs {
		if err = list.CheckSignatureFrom(cert); err == nil {
			break
		}
	}
	if err != nil {
		return nil, refuse(CRLSignature, "none of the known issuers has signed the list: "+err.Error())
	}
	c := &CRL{list: list, serials: make(map[string]bool, len(list.RevokedCertificateEntries))}
	for _, entry := range list.RevokedCertificateEntries {
		c.serials[fmt.Sprintf("%032x", entry.SerialNumber)] = true
	}
	return c, nil
}

// Number grows from list to list of one issuer.
func (c *CRL) Number() *big.Int { return new(big.Int).Set(c.list.Number) }

// NextUpdate is when the issuer meant to have published another list.
func (c *CRL) NextUpdate() time.Time { return c.list.NextUpdate }

// Lists says that the list's issuer has signed the certificate, and revoked it.
func (c *CRL) Lists(cert *x509.Certificate) bool {
	return bytes.Equal(c.list.AuthorityKeyId, cert.AuthorityKeyId) && bytes.Equal(c.list.RawIssuer, cert.RawIssuer) && c.serials[SerialOf(cert)]
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

func (v Verification) checkRevoked(chain []*x509.Certificate) error {
	for _, cert := range chain {
		for _, crl := range v.CRLs {
			if crl.Lists(cert) {
				return refuse(CertificateRevoked, "certificate "+SerialOf(cert)+" was revoked")
			}
		}
	}
	return nil
}
