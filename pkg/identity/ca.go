package identity

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const (
	// SkewMargin is how far before the time of issue a certificate begins, so
	// that a reader whose clock is a little behind accepts it.
	SkewMargin = 30 * time.Second

	certBlock = "CERTIFICATE"
	rootYears = 10
)

// CA is the root issuer of one trust domain. It is safe for concurrent use.
type CA struct {
	trustDomain string
	key         *ecdsa.PrivateKey
	cert        *x509.Certificate
	certPEM     []byte
}

// CertificatePEM returns a copy of the root certificate.
func (ca *CA) CertificatePEM() []byte { return append([]byte(nil), ca.certPEM...) }

// LoadOrCreateCA returns the root issuer kept in dir as ca.key and ca.crt, and
// makes what is missing; created is true when this call wrote the certificate.
// Processes that share the folder get the same issuer.
//
// A root of another trust domain, one that is not valid at now, one that is
// damaged, and a certificate without its key are errors that name the file;
// nothing is ever overwritten.
func LoadOrCreateCA(dir, trustDomain string, now time.Time) (ca *CA, created bool, err error) {
	td, err := parseTrustDomain(trustDomain)
	if err != nil {
		return nil, false, err
	}
	keyPath, certPath := filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.crt")
	key, err := caKey(keyPath, certPath)
	if err != nil {
		return nil, false, err
	}
	if _, err := os.Stat(certPath); errors.Is(err, fs.ErrNotExist) {
		created, err = createRoot(certPath, td, key, now)
		if err != nil {
			return nil, false, err
		}
	}
	cert, err := loadRoot(certPath, td, key, now)
	if err != nil {
		return nil, false, err
	}
	return &CA{trustDomain: trustDomain, key: key, cert: cert, certPEM: toPEM(certBlock, cert.Raw)}, created, nil
}

// caKey makes a key only while there is no certificate. The key is always
// written first, so a certificate that stands alone has lost its key.
func caKey(keyPath, certPath string) (*ecdsa.PrivateKey, error) {
	if _, err := os.Stat(certPath); errors.Is(err, fs.ErrNotExist) {
		key, _, err := LoadOrCreateKey(keyPath)
		return key, err
	}
	key, err := loadKey(keyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load root issuer: %s is there but its key %s is not: restore the key from a backup, or move the certificate away to have a new root made", certPath, keyPath)
	}
	return key, err
}

// createRoot says false, and no error, when another process was faster.
func createRoot(path string, td spiffeid.TrustDomain, key *ecdsa.PrivateKey, now time.Time) (bool, error) {
	tmpl, err := rootTemplate(td, key, now)
	if err != nil {
		return false, err
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return false, fmt.Errorf("sign root certificate: %w", err)
	}
	err = createFile(path, toPEM(certBlock, der), 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func rootTemplate(td spiffeid.TrustDomain, key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encode root key: %w", err)
	}
	keyID := sha256.Sum256(spki)
	now = now.UTC().Truncate(time.Second)
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: rootName(td)},
		URIs:                  []*url.URL{td.ID().URL()},
		NotBefore:             now.Add(-SkewMargin),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLen:            1,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId:          keyID[:20],
	}, nil
}

// rootName is cut to the 64 bytes that X.520 allows a common name; the URI
// names the trust domain in full.
func rootName(td spiffeid.TrustDomain) string {
	name := "fleetfold root " + td.Name()
	return name[:min(len(name), 64)]
}

func loadRoot(path string, td spiffeid.TrustDomain, key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	data, _, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("load root certificate: %w", err)
	}
	cert, err := parseCertificate(data)
	if err != nil {
		return nil, fmt.Errorf("load root certificate %s: %w: restore it from a backup, or move it away to have a new one made for the same key", path, err)
	}
	if err := checkRoot(cert, td, key, now); err != nil {
		return nil, fmt.Errorf("load root certificate %s: %w", path, err)
	}
	return cert, nil
}

func checkRoot(cert *x509.Certificate, td spiffeid.TrustDomain, key *ecdsa.PrivateKey, now time.Time) error {
	const moveAway = "move it away to have a new one made"
	switch {
	case !cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("it may not sign certificates: " + moveAway)
	case len(cert.URIs) != 1 || cert.URIs[0].String() != td.IDString():
		return fmt.Errorf("it is not the root of trust domain %q but of %v: name that trust domain, or another folder", td.Name(), cert.URIs)
	case !key.PublicKey.Equal(cert.PublicKey):
		return errors.New("it is for another key than the ca.key beside it: restore both from one backup")
	case cert.CheckSignatureFrom(cert) != nil:
		return errors.New("its signature is wrong: " + moveAway)
	case now.Before(cert.NotBefore):
		return fmt.Errorf("it is not valid before %s: check the clock", cert.NotBefore.Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return fmt.Errorf("it expired at %s: %s for the same key", cert.NotAfter.Format(time.RFC3339), moveAway)
	}
	return nil
}

// newSerial draws 128 random bits.
func newSerial() (*big.Int, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("draw serial: %w", err)
	}
	return new(big.Int).SetBytes(b[:]), nil
}
