package identity

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// maxChain is a leaf and one intermediate.
const maxChain = 2

// Verification says what a node's chain is checked against.
type Verification struct {
	// Roots are PEM certificates, one each. One that cannot be read vouches for
	// nobody, and takes nothing from the others.
	Roots       [][]byte
	TrustDomain string
	Node        fleet.NodeID
	// Region of the node; empty: the intermediate of any region will do.
	Region string
	// CRLs are the DER revocation lists that the caller believes; see ParseCRL.
	// One of an issuer that the chain does not contain says nothing of it.
	CRLs []*CRL
	Now  time.Time
	// Memo saves work where many chains are verified; nil: it is done each time.
	Memo *Memo
}

// VerifyLeaf is Verification.Leaf for a node of any region, without CRLs.
func VerifyLeaf(chainPEM []byte, roots [][]byte, trustDomain string, id fleet.NodeID, now time.Time) (*x509.Certificate, error) {
	return Verification{Roots: roots, TrustDomain: trustDomain, Node: id, Now: now}.Leaf(chainPEM)
}

// Leaf returns the first certificate of chainPEM when it is the node's.
//
// It checks, in this order: that chainPEM is PEM certificates, the leaf first
// and after it at most one intermediate; that the leaf is not a CA and may
// sign; that the intermediate is a CA, of leaves only; that the chain ends in
// one of the roots; that now is within its windows, ends included; that the
// intermediate is the region's; that the leaf's only name is the node's SPIFFE
// ID; that no CRL lists the leaf or the intermediate. The first check that
// fails is reported, as a *Refusal.
//
// Without CRLs, whether the serial was revoked is the caller's to know.
func (v Verification) Leaf(chainPEM []byte) (*x509.Certificate, error) {
	roots := readableRoots(v.Roots, v.Memo)
	want, err := SPIFFEID(v.TrustDomain, v.Node)
	if err != nil {
		return nil, err
	}
	chain, err := parseChain(chainPEM, v.Memo)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	if err := checkLeafPowers(leaf); err != nil {
		return nil, err
	}
	if err := v.checkIntermediates(chain[1:]); err != nil {
		return nil, err
	}
	if err := v.checkTrust(chain, roots); err != nil {
		return nil, err
	}
	for _, cert := range chain {
		if err := checkWindow(cert, v.Now); err != nil {
			return nil, err
		}
	}
	if err := v.checkRegion(chain[1:]); err != nil {
		return nil, err
	}
	if err := checkName(leaf, want); err != nil {
		return nil, err
	}
	return leaf, RefuseListed(v.CRLs, chain)
}

// checkName wants the SPIFFE ID and no other name: a server may read others first.
func checkName(leaf *x509.Certificate, want string) error {
	if n := len(leaf.URIs); n != 1 {
		return refuse(SPIFFEIDMismatch, fmt.Sprintf("the certificate has %d URIs, not one", n))
	}
	if got := leaf.URIs[0].String(); got != want {
		return refuse(SPIFFEIDMismatch, fmt.Sprintf("the certificate is for %q, not for %q", got, want))
	}
	if alternativeNames(leaf) != 1 {
		return refuse(SPIFFEIDMismatch, "the certificate has other names besides the SPIFFE ID")
	}
	return nil
}

// alternativeNames counts the names of all kinds, also of those that x509 does not
// read; -1 if there is more than names.
func alternativeNames(leaf *x509.Certificate) int {
	for _, ext := range leaf.Extensions {
		if !ext.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 {
			return -1
		}
		return len(names)
	}
	return 0
}

func readableRoots(pems [][]byte, memo *Memo) (roots []*x509.Certificate) {
	for _, pemBytes := range pems {
		if root, err := memo.parse(pemBytes); err == nil {
			roots = append(roots, root)
		}
	}
	return roots
}

func parseRoots(pems [][]byte) ([]*x509.Certificate, error) {
	roots := make([]*x509.Certificate, 0, len(pems))
	for i, pemBytes := range pems {
		root, err := parseCertificate(pemBytes)
		if err != nil {
			return nil, fmt.Errorf("read root %d of %d: %w", i+1, len(pems), err)
		}
		roots = append(roots, root)
	}
	return roots, nil
}

func parseCertificate(pemBytes []byte) (*x509.Certificate, error) {
	der, err := onePEM(pemBytes, certBlock)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// ParseChain reads the certificates of a chain as Verification.Leaf does, the leaf
// first. Whoever asks about a chain beside Leaf has to read it in the same way: what
// two readers take for two leaves would let one of them sign for the other. Errors
// are a *Refusal.
func ParseChain(chainPEM []byte) ([]*x509.Certificate, error) { return parseChain(chainPEM, nil) }

// parseChain reads no more certificates than a chain may have. Only issuers are
// worth remembering.
func parseChain(chainPEM []byte, memo *Memo) ([]*x509.Certificate, error) {
	blocks := splitPEM(chainPEM)
	if len(blocks) == 0 {
		return nil, refuse(CertificateUnparsable, "there is no certificate")
	}
	if len(blocks) > maxChain {
		return nil, refuse(ChainTooDeep, fmt.Sprintf("the chain has %d certificates below its root, at most %d are allowed", len(blocks), maxChain))
	}
	chain := make([]*x509.Certificate, 0, len(blocks))
	for i, block := range blocks {
		parse := memo.parse
		if i == 0 {
			parse = parseCertificate
		}
		cert, err := parse(block)
		if err != nil {
			return nil, refuse(CertificateUnparsable, fmt.Sprintf("certificate %d of %d: %v", i+1, len(blocks), err))
		}
		chain = append(chain, cert)
	}
	return chain, nil
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

func (v Verification) checkIntermediates(chain []*x509.Certificate) error {
	for _, cert := range chain {
		switch {
		case !cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage&x509.KeyUsageCertSign == 0:
			return refuse(IssuerNotCA, "the certificate after the leaf may not sign others")
		case !cert.MaxPathLenZero:
			return refuse(IssuerNotConfined, "the intermediate may sign more than leaves")
		case len(cert.PermittedURIDomains) != 1 || cert.PermittedURIDomains[0] != v.TrustDomain:
			return refuse(IssuerNotConfined, fmt.Sprintf("the intermediate is not confined to trust domain %q", v.TrustDomain))
		}
	}
	return nil
}

func (v Verification) checkRegion(chain []*x509.Certificate) error {
	for _, cert := range chain {
		if region := RegionOf(cert); v.Region != "" && region != RegionLabel(v.Region) {
			return refuse(IssuerRegion, fmt.Sprintf("the intermediate signs for region %q, the node is in %q", region, v.Region))
		}
	}
	return nil
}

// checkTrust asks about now, or about the end of the leaf's window that is
// nearest to it: a stranger's certificate is untrusted, whether or not it has
// expired as well. Signatures are asked first, and without the time, so that
// what is wrong with a chain does not depend on when it is asked.
func (v Verification) checkTrust(chain, roots []*x509.Certificate) error {
	at := within(chain, v.Now)
	if v.Memo.knows(chain, roots, at) {
		// Only a signature less is asked: what fails here is asked in full, and the
		// answer is the same as ever.
		if _, err := verifyChain(chain[:1], chain[1:], at); err == nil {
			return nil
		}
	}
	chains, err := verifyChain(chain, roots, at)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		return refuse(IssuerNotConfined, err.Error())
	}
	if err != nil {
		return refuse(ChainUntrusted, err.Error())
	}
	v.Memo.note(chain, roots, chains)
	return nil
}

func verifyChain(chain, roots []*x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	// Never a nil pool: it would mean the machine's own roots.
	rootPool, between := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range roots {
		rootPool.AddCert(root)
	}
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	return chain[0].Verify(x509.VerifyOptions{
		Roots: rootPool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: at,
	})
}

// within moves now into the windows of all certificates of the chain.
func within(chain []*x509.Certificate, now time.Time) time.Time {
	for _, cert := range chain {
		if now.After(cert.NotAfter) {
			now = cert.NotAfter
		}
	}
	for _, cert := range chain {
		if now.Before(cert.NotBefore) {
			now = cert.NotBefore
		}
	}
	return now
}

func checkWindow(cert *x509.Certificate, now time.Time) error {
	if now.Before(cert.NotBefore) {
		return refuse(CertificateNotYetValid, "the certificate begins at "+cert.NotBefore.UTC().Format(time.RFC3339))
	}
	if now.After(cert.NotAfter) {
		return refuse(CertificateExpired, "the certificate ended at "+cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
