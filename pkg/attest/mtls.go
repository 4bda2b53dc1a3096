package attest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Bounds of what a node may send.
const (
	maxChainBytes = 64 << 10
	maxChain      = 4
)

// ClientCertificate is the Prover of mtls-cert: files in PEM, as of a TLS client.
type ClientCertificate struct {
	// CertFile holds the certificate and after it its intermediates, KeyFile its key.
	CertFile, KeyFile string
}

// Prove signs the challenge. The files are read anew each time.
func (p ClientCertificate) Prove(_ context.Context, c Challenge) (Evidence, error) {
	pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		return Evidence{}, fmt.Errorf("load client certificate %s and key %s: %w", p.CertFile, p.KeyFile, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return Evidence{}, fmt.Errorf("load key %s: it cannot sign", p.KeyFile)
	}
	signature, err := sign(signer, c.statement())
	if err != nil {
		return Evidence{}, fmt.Errorf("sign challenge by key %s: %w", p.KeyFile, err)
	}
	var chain []byte
	for _, der := range pair.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return Evidence{CertificatePEM: string(chain), Signature: signature}, nil
}

func sign(key crypto.Signer, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	switch key.Public().(type) {
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	case *rsa.PublicKey:
		return key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
	return key.Sign(rand.Reader, digest[:], crypto.SHA256)
}

func verified(key crypto.PublicKey, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, signature)
	case *rsa.PublicKey:
		return k.Size() >= 256 && rsa.VerifyPSS(k, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	}
	return false
}

// CertificateAuthority is the Verifier of mtls-cert.
type CertificateAuthority struct {
	// File holds the CA certificates, in PEM, that client certificates chain to.
	File string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verify wants a client certificate of the CA that is valid now and names
// exactly the node, and the challenge signed by its key.
//
// The name is the certificate's URI if it has one, which must be the node's
// SPIFFE ID or its id; else its DNS name, else its common name, which must be
// the id. Where a certificate has several names of that kind, it names nobody.
func (v CertificateAuthority) Verify(_ context.Context, c Challenge, e Evidence) error {
	roots, err := v.roots()
	if err != nil {
		return err
	}
	chain, err := parseChain(e.CertificatePEM)
	if err != nil {
		return refuse(ReasonMalformed, err.Error())
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	leaf, between := chain[0], x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	if leaf.IsCA {
		return refuse(ReasonCertificate, "the client certificate is one of a CA")
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return refuse(ReasonCertificate, err.Error())
	}
	if err := checkName(leaf, c); err != nil {
		return err
	}
	if !verified(leaf.PublicKey, c.statement(), e.Signature) {
		return refuse(ReasonSignature, "the challenge was not signed by the key of the client certificate")
	}
	return nil
}

func (v CertificateAuthority) roots() (*x509.CertPool, error) {
	text, err := os.ReadFile(v.File)
	if err != nil {
		return nil, fmt.Errorf("read attestation CA: %w", err)
	}
	// Never a nil pool: it would mean the machine's own roots.
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read attestation CA: %s holds no certificate", v.File)
	}
	return pool, nil
}

// Check says whether the verifier could work now.
func (v CertificateAuthority) Check() error {
	_, err := v.roots()
	return err
}

func parseChain(text string) ([]*x509.Certificate, error) {
	if len(text) > maxChainBytes {
		return nil, fmt.Errorf("the certificate chain is %d bytes long, at most %d are allowed", len(text), maxChainBytes)
	}
	var chain []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, errors.New("the certificate chain is not certificates in PEM")
		}
		if chain = append(chain, cert); len(chain) > maxChain {
			return nil, fmt.Errorf("the certificate chain has more than %d certificates", maxChain)
		}
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate in PEM")
	}
	return chain, nil
}

func checkName(leaf *x509.Certificate, c Challenge) error {
	var kind string
	var names []string
	switch {
	case len(leaf.URIs) > 0:
		kind = "URI"
		for _, uri := range leaf.URIs {
			names = append(names, uri.String())
		}
	case len(leaf.DNSNames) > 0:
		kind, names = "DNS name", leaf.DNSNames
	default:
		kind, names = "common name", commonNames(leaf)
	}
	if len(names) != 1 {
		return refuse(ReasonName, fmt.Sprintf("the client certificate has %d %ss and so names nobody", len(names), kind))
	}
	if names[0] == string(c.Node) || kind == "URI" && isSPIFFE(names[0], c) {
		return nil
	}
	return refuse(ReasonName, fmt.Sprintf("the client certificate's %s is %q, which is not node %q", kind, names[0], c.Node))
}

// commonNames are all of them: x509 gives the last one only.
func commonNames(leaf *x509.Certificate) (names []string) {
	for _, part := range leaf.Subject.Names {
		if name, ok := part.Value.(string); ok && part.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
			names = append(names, name)
		}
	}
	return names
}

func isSPIFFE(uri string, c Challenge) bool {
	id, err := identity.NodeIDOf(c.TrustDomain, uri)
	return err == nil && id == fleet.NodeID(c.Node)
}
