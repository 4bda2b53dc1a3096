package identity

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const (
	// SkewMargin is how far before the time of issue a certificate begins, so
	// that a reader whose clock is a little behind accepts it.
	SkewMargin = 30 * time.Second

	certBlock = "CERTIFICATE"
)

// CA is an issuer of one trust domain: its root, or the intermediate that the
// root lets sign for the nodes of one region. It is safe for concurrent use.
type CA struct {
	trustDomain string
	region      string // of an intermediate
	signer      crypto.Signer
	cert        *x509.Certificate
	certPEM     []byte
	parent      *CA // nil: a root
}

// CAConfig says which issuer to open. Dir and TrustDomain are required.
type CAConfig struct {
	// Dir holds ca.crt and, unless there is a Signer, ca.key.
	Dir, TrustDomain string
	// Signer signs in place of ca.key, such as one in a hardware module.
	Signer crypto.Signer
	// Parent is the root that certifies an intermediate; nil: the issuer is a root.
	Parent *CA
	// Region is the region whose nodes an intermediate signs for.
	Region string
}

// CertificatePEM returns a copy of the issuer's own certificate.
func (ca *CA) CertificatePEM() []byte { return append([]byte(nil), ca.certPEM...) }

// RootPEM returns a copy of the certificate of the root that the issuer's
// chain ends in.
func (ca *CA) RootPEM() []byte { return ca.root().CertificatePEM() }

// Region is the region that an intermediate signs for; empty for a root.
func (ca *CA) Region() string { return ca.region }

// Fingerprint names the issuer by its public key, as Fingerprint of it.
func (ca *CA) Fingerprint() string {
	text, err := Fingerprint(ca.cert.PublicKey)
	if err != nil {
		return "" // no key that the package opens: load has read this one
	}
	return text
}

// Root is the issuer whose certificate the chain ends in: the issuer itself, or
// an intermediate's parent.
func (ca *CA) Root() *CA { return ca.root() }

// Serial of the issuer's own certificate, as SerialOf gives it.
func (ca *CA) Serial() string { return SerialOf(ca.cert) }

// NotAfter is when the issuer's own certificate ends.
func (ca *CA) NotAfter() time.Time { return ca.cert.NotAfter }

func (ca *CA) root() *CA {
	if ca.parent == nil {
		return ca
	}
	return ca.parent
}

func (ca *CA) what() string {
	if ca.parent == nil {
		return "root certificate"
	}
	return "intermediate certificate"
}

// LoadOrCreateCA opens the root issuer in dir whose key is ca.key; see OpenCA.
func LoadOrCreateCA(dir, trustDomain string, now time.Time) (ca *CA, created bool, err error) {
	return OpenCA(CAConfig{Dir: dir, TrustDomain: trustDomain}, now)
}

// OpenCA returns the issuer kept in a folder, and makes what is missing:
// created is true when this call wrote the certificate. Processes that share
// the folder get the same issuer. A root is made to be valid for ten years, an
// intermediate for one, and for no longer than its root.
//
// The folder is made, or becomes, its owner's alone; see OwnFolder.
//
// A certificate of another trust domain or region, one that is not valid at
// now, one that is damaged, one by another root, and one without its key are
// errors that name the file; nothing is ever overwritten.
func OpenCA(c CAConfig, now time.Time) (ca *CA, created bool, err error) {
	td, err := parseTrustDomain(c.TrustDomain)
	if err != nil {
		return nil, false, err
	}
	if err := c.checkParent(); err != nil {
		return nil, false, err
	}
	ca = &CA{trustDomain: c.TrustDomain, region: c.Region, parent: c.Parent}
	if err := OwnFolder(c.Dir); err != nil {
		return nil, false, fmt.Errorf("open issuer: %w", err)
	}
	path := filepath.Join(c.Dir, "ca.crt")
	if ca.signer, err = c.signer(ca, path); err != nil {
		return nil, false, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if created, err = ca.create(path, td, now); err != nil {
			return nil, false, err
		}
	}
	if ca.cert, err = ca.load(path, td, now); err != nil {
		return nil, false, err
	}
	ca.certPEM = toPEM(certBlock, ca.cert.Raw)
	return ca, created, nil
}

func (c CAConfig) checkParent() error {
	switch {
	case (c.Parent == nil) != (c.Region == ""):
		return errors.New("open issuer: an intermediate needs both a root and a region, a root neither")
	case c.Parent != nil && c.Parent.parent != nil:
		return errors.New("open issuer: an intermediate cannot certify another one")
	case c.Parent != nil && c.Parent.trustDomain != c.TrustDomain:
		return fmt.Errorf("open issuer: the root is of trust domain %q, the intermediate of %q", c.Parent.trustDomain, c.TrustDomain)
	case c.Parent != nil && net.ParseIP(c.TrustDomain) != nil:
		return fmt.Errorf("open issuer: an intermediate cannot be confined to trust domain %q, which is an IP address: name the trust domain otherwise, or leave intermediate_ca out", c.TrustDomain)
	}
	return nil
}

// signer makes a key only while there is no certificate. The key is always
// written first, so a certificate that stands alone has lost its key.
func (c CAConfig) signer(ca *CA, certPath string) (crypto.Signer, error) {
	if c.Signer != nil {
		return c.Signer, nil
	}
	keyPath := filepath.Join(c.Dir, "ca.key")
	if _, err := os.Stat(certPath); errors.Is(err, fs.ErrNotExist) {
		key, _, err := LoadOrCreateKey(keyPath)
		return key, err
	}
	key, err := loadKey(keyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load %s: %s is there but its key %s is not: restore the key from a backup, or move the certificate away to have a new one made", ca.what(), certPath, keyPath)
	}
	return key, err
}

func (ca *CA) load(path string, td spiffeid.TrustDomain, now time.Time) (*x509.Certificate, error) {
	data, _, err := readSmall(path)
	if err != nil {
		return nil, fault(path, FileDamaged, fmt.Errorf("load %s: %w", ca.what(), err))
	}
	cert, err := parseCertificate(data)
	if err != nil {
		return nil, fault(path, FileDamaged, fmt.Errorf("load %s %s: %w: restore it from a backup, or move it away to have a new one made for the same key", ca.what(), path, err))
	}
	if reason, err := ca.check(cert, td, now); err != nil {
		err = fmt.Errorf("load %s %s: %w", ca.what(), path, err)
		if reason != "" {
			err = fault(path, reason, err)
		}
		return nil, err
	}
	return cert, nil
}

// check says what is wrong with a certificate, and why its file is not taken; ""
// where time alone is the reason.
func (ca *CA) check(cert *x509.Certificate, td spiffeid.TrustDomain, now time.Time) (fleet.Reason, error) {
	const moveAway = "move it away to have a new one made"
	signedBy := cert
	if ca.parent != nil {
		signedBy = ca.parent.cert
	}
	switch {
	case !cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return FileDamaged, errors.New("it may not sign certificates: " + moveAway)
	case len(cert.URIs) != 1 || cert.URIs[0].String() != td.IDString():
		return FileMismatch, fmt.Errorf("it is not of trust domain %q but of %v: name that trust domain, or another folder", td.Name(), cert.URIs)
	case RegionOf(cert) != RegionLabel(ca.region):
		return FileMismatch, fmt.Errorf("it is not of region %q but of %q: name that region, or another folder", ca.region, RegionOf(cert))
	case !sameKey(ca.signer.Public(), cert.PublicKey):
		return FileMismatch, errors.New("it is for another key than the ca.key beside it: restore both from one backup")
	case cert.CheckSignatureFrom(signedBy) != nil && ca.parent != nil:
		return FileMismatch, errors.New("another root has signed it: restore both from one backup, or " + moveAway)
	case cert.CheckSignatureFrom(signedBy) != nil:
		return FileDamaged, errors.New("its signature is wrong: " + moveAway)
	case now.Before(cert.NotBefore):
		return "", fmt.Errorf("it is not valid before %s: check the clock", cert.NotBefore.Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return "", fmt.Errorf("it expired at %s: %s for the same key", cert.NotAfter.Format(time.RFC3339), moveAway)
	}
	return "", nil
}

// sameKey compares public keys of any kind.
func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// newSerial draws 128 random bits.
func newSerial() (*big.Int, error) {
	b, err := randomBytes(16)
	if err != nil {
		return nil, fmt.Errorf("draw serial: %w", err)
	}
	return new(big.Int).SetBytes(b), nil
}
