package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"sync"
	"time"
)

// Memo remembers intermediates that were found to chain to the roots, so that of
// many nodes with few issuers each costs one signature in place of two. What it
// answers is what would be found without it. The zero value is ready; it may be
// used from any goroutine.
type Memo struct {
	mu      sync.Mutex
	parsed  map[[sha256.Size]byte]*x509.Certificate // by their PEM
	vouched map[vouch][]*x509.Certificate           // the roots that did
}

// vouch is an intermediate and the roots that it was verified with.
type vouch struct{ intermediate, roots [sha256.Size]byte }

// memoSize bounds what is remembered: far more than a fleet has issuers.
const memoSize = 4096

// parse is parseCertificate for certificates that come again and again. A nil Memo
// remembers nothing.
func (m *Memo) parse(pemBytes []byte) (*x509.Certificate, error) {
	if m == nil {
		return parseCertificate(pemBytes)
	}
	key := sha256.Sum256(pemBytes)
	m.mu.Lock()
	cert := m.parsed[key]
	m.mu.Unlock()
	if cert != nil {
		return cert, nil
	}
	cert, err := parseCertificate(pemBytes)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parsed == nil || len(m.parsed) >= memoSize {
		m.parsed = make(map[[sha256.Size]byte]*x509.Certificate)
	}
	m.parsed[key] = cert
	return cert, nil
}

// knows says that one of these roots vouched for the chain's intermediate, and
// itself counts at that time.
func (m *Memo) knows(chain, roots []*x509.Certificate, at time.Time) bool {
	if m == nil || len(chain) != maxChain {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.vouched[vouchOf(chain[1], roots)], func(root *x509.Certificate) bool {
		return checkWindow(root, at) == nil
	})
}

// note remembers the ends of what the chain was found to be. A root that says
// anything of the names below it is not remembered: what that means for a leaf
// only the whole chain tells.
func (m *Memo) note(chain, roots []*x509.Certificate, found [][]*x509.Certificate) {
	if m == nil || len(chain) != maxChain {
		return
	}
	var vouching []*x509.Certificate
	for _, c := range found {
		// A leaf that a root has signed itself says nothing of the intermediate.
		if len(c) == maxChain+1 && c[1].Equal(chain[1]) && !constrained(c[maxChain]) {
			vouching = append(vouching, c[maxChain])
		}
	}
	if len(vouching) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.vouched == nil || len(m.vouched) >= memoSize {
		m.vouched = make(map[vouch][]*x509.Certificate)
	}
	m.vouched[vouchOf(chain[1], roots)] = vouching
}

func vouchOf(intermediate *x509.Certificate, roots []*x509.Certificate) vouch {
	h := sha256.New()
	for _, root := range roots {
		sum := sha256.Sum256(root.Raw)
		h.Write(sum[:])
	}
	v := vouch{intermediate: sha256.Sum256(intermediate.Raw)}
	h.Sum(v.roots[:0])
	return v
}

func constrained(c *x509.Certificate) bool {
	return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+
		len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0
}
