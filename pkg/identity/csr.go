package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
)

const csrBlock = "CERTIFICATE REQUEST"

// NewCSR returns a PEM certificate request for key. It asks for nothing: the
// issuer decides what the certificate says.
func NewCSR(key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("create certificate request: %w", err)
	}
	return toPEM(csrBlock, der), nil
}

// ParseCSR reads one PEM certificate request and checks that the holder of its
// key signed it. Errors are of type *Refusal.
func ParseCSR(pemBytes []byte) (*x509.CertificateRequest, error) {
	der, err := onePEM(pemBytes, csrBlock)
	if err != nil {
		return nil, refuse(CSRUnparsable, err.Error())
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, refuse(CSRUnparsable, err.Error())
	}
	if err := checkCSR(csr); err != nil {
		return nil, err
	}
	return csr, nil
}

// checkCSR looks at the key first, so that no signature of a kind that would
// be refused anyway is computed.
func checkCSR(csr *x509.CertificateRequest) error {
	if !supportedKey(csr.PublicKey) {
		return refuse(CSRKeyUnsupported, fmt.Sprintf("the key is a %v key that is neither ECDSA P-256 nor Ed25519", csr.PublicKeyAlgorithm))
	}
	switch csr.SignatureAlgorithm {
	case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
	default:
		return refuse(CSRSignature, fmt.Sprintf("the signature algorithm %v is not accepted", csr.SignatureAlgorithm))
	}
	if err := csr.CheckSignature(); err != nil {
		return refuse(CSRSignature, "the request is not signed by its own key")
	}
	return nil
}
