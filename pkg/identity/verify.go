package identity

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// VerifyLeaf returns the certificate in leafPEM when it is node id's at now.
//
// It checks, in this order: that leafPEM is one PEM certificate; that it is
// not a CA and may sign; that one of roots signed it; that now is within its
// window, ends included; and that its only URI is the node's SPIFFE ID. The
// first check that fails is reported, as a *Refusal. roots are PEM
// certificates, one each; a root that cannot be read vouches for nobody, and
// takes nothing from the others.
//
// Whether the serial was revoked is the caller's to know.
func VerifyLeaf(leafPEM []byte, roots [][]byte, trustDomain string, id fleet.NodeID, now time.Time) (*x509.Certificate, error) {
	pool := rootPool(roots)
	want, err := SPIFFEID(trustDomain, id)
	if err != nil {
		return nil, err
	}
	leaf, err := parseCertificate(leafPEM)
	if err != nil {
		return nil, refuse(CertificateUnparsable, err.Error())
	}
	if err := checkLeafPowers(leaf); err != nil {
		return nil, err
	}
	if err := checkChain(leaf, pool, now); err != nil {
		return nil, err
	}
	if err := checkWindow(leaf, now); err != nil {
		return nil, err
	}
	if len(leaf.URIs) != 1 {
		return nil, refuse(SPIFFEIDMismatch, fmt.Sprintf("the certificate has %d URIs, not one", len(leaf.URIs)))
	}
	if got := leaf.URIs[0].String(); got != want {
		return nil, refuse(SPIFFEIDMismatch, fmt.Sprintf("the certificate is for %q, not for %q", got, want))
	}
	return leaf, nil
}

// rootPool never returns nil: a nil pool would mean the machine's own roots.
func rootPool(roots [][]byte) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, pemBytes := range roots {
		if root, err := parseCertificate(pemBytes); err == nil {
			pool.AddCert(root)
		}
	}
	return pool
}

func parseCertificate(pemBytes []byte) (*x509.Certificate, error) {
	der, err := onePEM(pemBytes, certBlock)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func checkLeafPowers(leaf *x509.Certificate) error {
	switch {
	case leaf.IsCA:
		return refuse(CertificateIsCA, "a node's certificate must not be a CA")
	case leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return refuse(CertificateIsCA, "a node's certificate must not be able to sign certificates or revocation lists")
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return refuse(CertificateKeyUsage, "the certificate's key may not be used for signatures")
	case !supportedKey(leaf.PublicKey):
		return refuse(CertificateKeyUnsupported, "the certificate's key is neither ECDSA P-256 nor Ed25519")
	}
	return nil
}

// checkChain asks about now, or about the end of the leaf's window that is
// nearest to it: a stranger's certificate is untrusted, whether or not it has
// expired as well.
func checkChain(leaf *x509.Certificate, pool *x509.CertPool, now time.Time) error {
	at := now
	if at.Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return refuse(ChainUntrusted, err.Error())
	}
	return nil
}

func checkWindow(leaf *x509.Certificate, now time.Time) error {
	if now.Before(leaf.NotBefore) {
		return refuse(CertificateNotYetValid, "the certificate begins at "+leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	if now.After(leaf.NotAfter) {
		return refuse(CertificateExpired, "the certificate ended at "+leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
