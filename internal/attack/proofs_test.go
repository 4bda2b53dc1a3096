package attack

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// house is an issuer whose keys the test has, too.
type house struct {
	t   *testing.T
	ca  *identity.CA
	key *ecdsa.PrivateKey
}

func newHouse(t *testing.T, trustDomain string, parent *house) *house {
	t.Helper()
	return newHouseOf(t, trustDomain, "nyc", parent)
}

func newHouseOf(t *testing.T, trustDomain, region string, parent *house) *house {
	t.Helper()
	c := identity.CAConfig{Dir: filepath.Join(t.TempDir(), "ca"), TrustDomain: trustDomain}
	if parent != nil {
		c.Parent, c.Region = parent.ca, region
	}
	ca, _, err := identity.OpenCA(c, time.Now().AddDate(0, 0, -7))
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := identity.LoadOrCreateKey(filepath.Join(c.Dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	return &house{t, ca, key}
}

// issue is an honest credential, as of a moment.
func (h *house) issue(id fleet.NodeID, key *ecdsa.PrivateKey, at time.Time) string {
	h.t.Helper()
	text, err := identity.NewCSR(key)
	if err != nil {
		h.t.Fatal(err)
	}
	csr, err := identity.ParseCSR(text)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := h.ca.Issue(csr, id, time.Hour, at)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(c.CertificatePEM)
}

// forge signs what no honest issuer would.
func (h *house) forge(id fleet.NodeID, key *ecdsa.PrivateKey, change func(*x509.Certificate)) string {
	h.t.Helper()
	return sign(h.t, h.ca.CertificatePEM(), h.key, leaf(h.t, id, change), key)
}

func leaf(t *testing.T, id fleet.NodeID, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: domain, Path: "/" + string(id)}},
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	change(c)
	return c
}

// sign certifies key's owner by an issuer's certificate and key.
func sign(t *testing.T, issuerPEM []byte, issuer *ecdsa.PrivateKey, c *x509.Certificate, key *ecdsa.PrivateKey) string {
	t.Helper()
	parent := c // it signs itself
	if issuerPEM != nil {
		block, _ := pem.Decode(issuerPEM)
		var err error
		if parent, err = x509.ParseCertificate(block.Bytes); err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func honest(*x509.Certificate) {}

// forgeries are certificates that an executor that cannot be trusted records
// for a node, which then signs rightly with its key.
func forgeries(t *testing.T, root, nyc *house) map[string]forgery {
	stranger, foreign := newHouse(t, domain, nil), newHouse(t, "other.example", nil)
	now := time.Now()
	return map[string]forgery{
		"an expired certificate":                {func(n *node) string { return root.issue(n.id, n.key, now.AddDate(0, 0, -1)) }, identity.CertificateExpired},
		"a certificate that is not yet valid":   {func(n *node) string { return root.issue(n.id, n.key, now.Add(time.Hour)) }, identity.CertificateNotYetValid},
		"a certificate of its own making":       {func(n *node) string { return sign(t, nil, n.key, leaf(t, n.id, honest), n.key) }, identity.ChainUntrusted},
		"a certificate by another root":         {func(n *node) string { return stranger.issue(n.id, n.key, now) }, identity.ChainUntrusted},
		"a certificate of another trust domain": {func(n *node) string { return foreign.issue(n.id, n.key, now) }, identity.ChainUntrusted},
		"a certificate of another trust domain by the own root": {func(n *node) string {
			return root.forge(n.id, n.key, func(c *x509.Certificate) { c.URIs[0].Host = "other.example" })
		}, identity.SPIFFEIDMismatch},
		"the certificate of another node": {func(n *node) string { return root.issue("somebody", n.key, now) }, identity.SPIFFEIDMismatch},
		"a leaf that poses as a CA": {func(n *node) string {
			return root.forge(n.id, n.key, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, c.KeyUsage|x509.KeyUsageCertSign })
		}, identity.CertificateIsCA},
		"a leaf that another leaf has signed": {func(n *node) string {
			posing := root.issue(n.id, n.key, now)
			return sign(t, []byte(posing), n.key, leaf(t, n.id, honest), n.key) + posing
		}, identity.IssuerNotCA},
		"a chain of three": {func(n *node) string {
			return nyc.issue(n.id, n.key, now) + string(nyc.ca.CertificatePEM())
		}, identity.ChainTooDeep},
		"a hundred certificates": {func(n *node) string {
			return string(bytes.Repeat([]byte(root.issue(n.id, n.key, now)), 100))
		}, identity.ChainTooDeep},
		"a certificate by the issuer of another region": {func(n *node) string {
			return newHouseOf(t, domain, "oslo", root).issue(n.id, n.key, now)
		}, identity.IssuerRegion},
		"no certificate at all": {func(*node) string { return "rubbish" }, identity.CertificateUnparsable},
		"a certificate for another node's key": {func(n *node) string {
			return root.issue(n.id, newHouse(t, domain, nil).key, now)
		}, identity.ProofSignature},
	}
}

type forgery struct {
	chain func(*node) string
	want  fleet.Reason
}

// record plays the executor that has issued a certificate, however bad, and
// returns the challenge.
func (w *world) record(n *node, epoch uint64, serial, chain string) events.CredentialProved {
	w.t.Helper()
	nonce := events.NewID("nonce", serial)
	w.append(&events.Event{Type: events.TypeCredentialIssued, Node: n.id, Data: &events.CredentialIssued{
		Epoch: epoch, Action: "issue-by-hand", Serial: serial, Nonce: nonce, KeyFingerprint: n.fingerprint,
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), CertificatePEM: chain,
	}})
	return events.CredentialProved{Epoch: epoch, Serial: serial, Nonce: nonce}
}

func (w *world) trust(h *house) {
	w.t.Helper()
	w.append(&events.Event{Type: events.TypeTrustPublished, Data: &events.TrustPublished{
		TrustDomain: domain, Fingerprint: "sha256:" + events.NewID("root") + events.NewID("root"), CertificatePEM: string(h.ca.CertificatePEM()),
	}})
}

// Nobody counts as able to sign by a certificate that is not theirs, even if an
// executor has put it onto the log.
func TestAProofByABadCertificateCountsForNothing(t *testing.T) {
	root := newHouse(t, domain, nil)
	nyc := newHouse(t, domain, root)
	rows := forgeries(t, root, nyc)
	var ids []fleet.NodeID
	for range rows {
		ids = append(ids, fleet.NodeID(fmt.Sprint("n", len(ids)+1)))
	}
	w := newWorld(t, "mtls-cert", append(ids, "good")...)
	w.trust(root)
	for does, c := range rows {
		id := ids[0]
		ids = ids[1:]
		t.Run(does, func(t *testing.T) {
			w.t = t
			n := w.node(id)
			w.beat(n, 1)
			w.state(w.statement(n, n.key, w.record(n, 1, "a1", c.chain(n))))
			w.refused(id, c.want)
		})
	}
	w.t = t
	n := w.node("good")
	w.beat(n, 1)
	w.state(w.statement(n, n.key, w.record(n, 1, "b1", nyc.issue("good", n.key, time.Now()))))
	w.next("the honest one signs, and nobody else", func(e *events.Event) bool {
		if e.Type == events.TypeCredentialProved && e.Node != "good" {
			t.Errorf("%s signs", e.Node)
		}
		return e.Type == events.TypeCredentialProved && e.Node == "good"
	})
	w.onlyProved("good")
}

// onlyProved reads the whole log again.
func (w *world) onlyProved(ids ...fleet.NodeID) {
	w.t.Helper()
	left := map[fleet.NodeID]int{}
	for _, id := range ids {
		left[id]++
	}
	records, err := w.bus.Log().Read(w.ctx, 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		if r.Event != nil && r.Event.Type == events.TypeCredentialProved {
			left[r.Event.Node]--
		}
	}
	for id, n := range left {
		if n != 0 {
			w.t.Errorf("%s proved %d times too few", id, n)
		}
	}
}

// A proof counts once, for one challenge, in one life of its node, by one key.
func TestAProofThatAnswersAnotherChallengeCountsForNothing(t *testing.T) {
	root := newHouse(t, domain, nil)
	w := newWorld(t, "mtls-cert", "n1", "n2")
	w.trust(root)
	n1, n2 := w.node("n1"), w.node("n2")
	w.beat(n1, 1)
	w.beat(n2, 1)
	const unknown = fleet.Reason("no_such_challenge")
	issue := func(n *node) string { return root.issue(n.id, n.key, time.Now()) }

	// Another node's key, and another node's proof under one's own name.
	first := w.record(n1, 1, "a1", issue(n1))
	w.state(w.statement(n1, n2.key, first))
	w.refused("n1", identity.ProofSignature)
	w.state(w.statement(n2, n2.key, first))
	w.refused("n2", unknown)

	// A proof is copied to the log once, however often the same bytes come.
	old := w.statement(n1, n1.key, first)
	for range 3 {
		w.state(old)
	}
	w.proved("n1", "a1")

	// After another credential was proved, the old bytes answer nothing any more.
	second := w.record(n1, 1, "a2", issue(n1))
	w.state(old) // meanwhile it is only a repetition
	w.state(w.statement(n1, n1.key, second))
	w.proved("n1", "a2")
	w.state(old)
	w.refused("n1", unknown)

	// Nor does a proof of a credential that was revoked before it came.
	revoked := w.record(n2, 1, "b1", issue(n2))
	w.append(&events.Event{Type: events.TypeCredentialRevoked, Node: "n2", Data: &events.CredentialRevoked{Epoch: 1, Serial: "b1", Reason: "key_changed"}})
	w.state(w.statement(n2, n2.key, revoked))
	// The log tells of n2 and this reason once a minute, so this one is found by what
	// does not happen: n2 proves what comes next, and never this.
	next := w.record(n2, 1, "b2", issue(n2))
	w.state(w.statement(n2, n2.key, next))
	w.proved("n2", "b2")

	w.anotherLife(n2, next, issue)
	w.onlyProved("n1", "n1", "n2", "n2")
}

// anotherLife ends the node's epoch; then the former life's proofs count for
// nothing, neither as they are nor signed again for a challenge of the new one.
func (w *world) anotherLife(n *node, before events.CredentialProved, issue func(*node) string) {
	w.t.Helper()
	replay := w.statement(n, n.key, before)
	w.append(&events.Event{Type: events.TypeNodeRemoved, Node: n.id, Data: &events.NodeRemoved{Epoch: 1, Action: "remove-by-hand"}})
	w.beat(n, 2)
	w.state(replay)
	now := w.record(n, 2, "c1", issue(n))
	w.state(replay)
	stale := now
	stale.Epoch = 1
	w.state(w.statement(n, n.key, stale))
	w.state(w.statement(n, n.key, now))
	if d := w.proved(n.id, "c1"); d.Epoch != now.Epoch {
		w.t.Errorf("a proof of epoch %d counts in epoch %d", d.Epoch, now.Epoch)
	}
}
