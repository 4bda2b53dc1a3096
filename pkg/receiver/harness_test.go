package receiver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

func TestMain(m *testing.M) { leak.Main(m) }

const (
	domain = "fleet.example"
	here   = "http://n2.example:8083"
)

// t0 is when the tests are.
var t0 = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// fixed is a Source that the test sets.
type fixed struct{ trust *Trust }

func (f *fixed) Trust() *Trust { return f.trust }

// world is a receiver, its issuer and its clock.
type world struct {
	testing.TB
	*Receiver
	ca     *identity.CA
	source *fixed
	now    time.Time
}

func newCA(t testing.TB, domain string, now time.Time) *identity.CA {
	t.Helper()
	ca, _, err := identity.LoadOrCreateCA(t.TempDir(), domain, now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// newWorld has a receiver in a strict fleet since an hour; change may say otherwise.
func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{TB: t, ca: newCA(t, domain, t0.Add(-24*time.Hour)), source: new(fixed), now: t0}
	w.posture(true, t0.Add(-time.Hour))
	c := Config{Source: w.source, Audiences: []string{here}, Now: func() time.Time { return w.now }, Logger: zerolog.Nop()}
	if change != nil {
		change(&c)
	}
	var err error
	if w.Receiver, err = New(c); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) posture(strict bool, since time.Time) {
	w.source.trust = &Trust{
		Known: true, Posture: eventlog.Posture{Strict: strict, Sequence: 1, Since: since},
		TrustDomain: domain, Roots: [][]byte{w.ca.CertificatePEM()},
	}
}

// holder has a key and a credential.
func holder(t testing.TB, ca *identity.CA, trustDomain string, id fleet.NodeID, at time.Time, ttl time.Duration) *Credential {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return holderOf(t, key, ca, trustDomain, id, at, ttl)
}

func holderOf(t testing.TB, key *ecdsa.PrivateKey, ca *identity.CA, trustDomain string, id fleet.NodeID, at time.Time, ttl time.Duration) *Credential {
	t.Helper()
	text, err := identity.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := identity.ParseCSR(text)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue(csr, id, ttl, at)
	if err != nil {
		t.Fatal(err)
	}
	name, err := identity.SPIFFEID(trustDomain, id)
	if err != nil {
		t.Fatal(err)
	}
	return &Credential{Key: key, ChainPEM: issued.CertificatePEM, ID: name}
}

func (w *world) holder(id fleet.NodeID) *Credential {
	w.Helper()
	return holder(w.TB, w.ca, domain, id, w.now, time.Hour)
}

func (w *world) serial(c *Credential) string {
	block, _ := pem.Decode(c.ChainPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		w.Fatal(err)
	}
	return identity.SerialOf(cert)
}

func post(id string) *Post {
	return &Post{ID: id, Source: "app", Type: "example.measured", DataContentType: "application/json", Data: []byte(`{"v": 1}`)}
}

// signed is a post to this receiver.
func (w *world) signed(c *Credential, id string) *Post {
	w.Helper()
	p := post(id)
	if err := Sign(p, c, here, w.now); err != nil {
		w.Fatal(err)
	}
	return p
}

// resign makes the proof anew over what stands in p now, and over the extensions
// named: what an attacker with a key of their own can do.
func (w *world) resign(p *Post, key crypto.Signer, names ...string) *Post {
	w.Helper()
	var ext []identity.Extension
	for _, name := range names {
		ext = append(ext, identity.Extension{Name: name, Value: p.extension(name)})
	}
	var err error
	if p.Proof, err = identity.Sign(key, p.core(), ext); err != nil {
		w.Fatal(err)
	}
	return p
}

// wants checks who is taken and why not.
func (w *world) wants(why string, p *Post, verified bool, doubt, refused fleet.Reason) {
	w.Helper()
	s, err := w.Check(p)
	if fleet.ReasonOf(err) != refused || err == nil && (s.Verified != verified || s.Doubt != doubt) {
		w.Errorf("%s: got %+v, %v; want verified %v, doubt %q, refused %q", why, s, err, verified, doubt, refused)
	}
	if err == nil && !s.Verified && (s.Node != "" || s.ID != "") {
		w.Errorf("%s: an unverified sender has a name: %+v", why, s)
	}
}

func mustChain(t testing.TB, text []byte) *x509.Certificate {
	t.Helper()
	chain, err := identity.ParseChain(text)
	if err != nil {
		t.Fatal(err)
	}
	return chain[0]
}
