package identity

import (
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
)

// SPIFFEBundle returns a trust domain's roots, PEM certificates, in the SPIFFE
// trust bundle format (a JWK set in JSON). sequence must grow from bundle to
// bundle; refresh is how long a reader may keep it before it looks again.
func SPIFFEBundle(trustDomain string, roots [][]byte, sequence uint64, refresh time.Duration) ([]byte, error) {
	td, err := parseTrustDomain(trustDomain)
	if err != nil {
		return nil, err
	}
	certs, err := parseRoots(roots)
	if err != nil {
		return nil, err
	}
	bundle := spiffebundle.FromX509Authorities(td, certs)
	bundle.SetSequenceNumber(sequence)
	bundle.SetRefreshHint(refresh)
	text, err := bundle.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode trust bundle: %w", err)
	}
	return text, nil
}

// ParseSPIFFEBundle reads what SPIFFEBundle writes: the roots as PEM, and the
// sequence. Errors about the text are a *Refusal.
func ParseSPIFFEBundle(trustDomain string, text []byte) (roots [][]byte, sequence uint64, err error) {
	td, err := parseTrustDomain(trustDomain)
	if err != nil {
		return nil, 0, err
	}
	if len(text) > maxBundleBytes {
		return nil, 0, refuse(BundleUnparsable, fmt.Sprintf("it is %d bytes long, at most %d are allowed", len(text), maxBundleBytes))
	}
	bundle, err := spiffebundle.Parse(td, text)
	if err != nil {
		return nil, 0, refuse(BundleUnparsable, err.Error())
	}
	for _, cert := range bundle.X509Authorities() {
		if !cert.IsCA || !cert.BasicConstraintsValid {
			return nil, 0, refuse(BundleUnparsable, "a certificate of the bundle is no CA")
		}
		roots = append(roots, toPEM(certBlock, cert.Raw))
	}
	if len(roots) == 0 {
		return nil, 0, refuse(BundleUnparsable, "the bundle has no root")
	}
	sequence, _ = bundle.SequenceNumber()
	return roots, sequence, nil
}

// maxBundleBytes bounds a trust bundle: hundreds of roots.
const maxBundleBytes = 1 << 20
