package receiver

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Source says what the log says. FromView and FromStream make one.
type Source interface {
	// Trust is what is known now. It is asked for each post, from any goroutine,
	// and must not block.
	Trust() *Trust
}

// Trust is what is known at one moment. It is not changed once it was handed out.
type Trust struct {
	// Known says that the Posture is. Until then nothing is taken.
	Known   bool
	Posture eventlog.Posture
	// TrustDomain of the senders; empty while it is not known.
	TrustDomain string
	// Roots are PEM certificates, one each.
	Roots [][]byte
	// CRLs are DER revocation lists by the key id of their issuers, lower-case hex.
	// They are believed only when signed by that issuer.
	CRLs map[string][]byte
	// Revoked says what the source knows of revocation besides the lists: a reason of
	// package identity, or nothing. nil is nothing.
	Revoked func(node fleet.NodeID, leaf *x509.Certificate) fleet.Reason
	// Region says whether the intermediate of the region with that label may sign for
	// the node, as identity.RegionOf names it; nil: that is not known yet.
	Region func(label string, node fleet.NodeID) bool

	mu sync.Mutex
	// revoked is by serial what the log has revoked.
	revoked map[string]bool
	parsed  map[string]*identity.CRL // nil values are lists that are of no use
}

// anchored says whether signers can be checked at all.
func (t *Trust) anchored() bool { return t.TrustDomain != "" && len(t.Roots) > 0 }

// lists returns the revocation lists that speak of the chain, which must have been
// verified: its intermediates sign lists. unread names issuers whose list is none.
func (t *Trust) lists(chain []*x509.Certificate) (lists []*identity.CRL, unread []string) {
	issuers := t.Roots
	for _, cert := range chain[1:] {
		issuers = append(issuers[:len(issuers):len(issuers)], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	for _, cert := range chain {
		keyID := hex.EncodeToString(cert.AuthorityKeyId)
		der := t.CRLs[keyID]
		if der == nil {
			continue
		}
		if list := t.list(keyID, der, issuers); list != nil {
			lists = append(lists, list)
		} else {
			unread = append(unread, keyID)
		}
	}
	return lists, unread
}

// list reads each list once: they may be long. The issuer is among the issuers, for
// the chain was verified.
func (t *Trust) list(keyID string, der []byte, issuers [][]byte) *identity.CRL {
	t.mu.Lock()
	defer t.mu.Unlock()
	if list, done := t.parsed[keyID]; done {
		return list
	}
	list, err := identity.ParseCRL(der, issuers...)
	if err != nil {
		list = nil
	}
	if t.parsed == nil {
		t.parsed = make(map[string]*identity.CRL)
	}
	t.parsed[keyID] = list
	return list
}
