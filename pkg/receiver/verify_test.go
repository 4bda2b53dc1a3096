package receiver

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

func TestASignedPostIsTakenOnce(t *testing.T) {
	w := newWorld(t, nil)
	c := w.holder("region/nyc/n:1")
	p := w.signed(c, "1")
	s, err := w.Check(p)
	if err != nil || !s.Verified || s.Node != "region/nyc/n:1" || s.ID != c.ID || s.Doubt != "" {
		t.Fatalf("got %+v, %v", s, err)
	}
	w.wants("again", p, false, "", Replayed)
	w.wants("the same id with other data", w.signed(c, "1"), false, "", Replayed)
	w.wants("another id", w.signed(c, "2"), true, "", "")
	w.wants("another node's id of that name", w.signed(w.holder("n2"), "1"), true, "", "")
	taken, doubted, refused := w.Counts()
	if taken != 3 || len(doubted) != 0 || refused[Replayed] != 2 || len(refused) != 1 {
		t.Errorf("counted %d, %v, %v", taken, doubted, refused)
	}
}

// What strict refuses and permissive takes.
func TestDoubts(t *testing.T) {
	for why, c := range map[string]struct {
		reason fleet.Reason
		make   func(w *world) *Post
	}{
		"no proof": {Unsigned, func(w *world) *Post { return post("1") }},
		"a stripped proof": {Unsigned, func(w *world) *Post {
			p := w.signed(w.holder("n1"), "1")
			p.Proof = nil
			return p
		}},
		"a proof without a chain": {SenderUnknown, func(w *world) *Post {
			p := post("1")
			return w.resign(p, w.holder("n1").Key)
		}},
		"a self-made issuer": {identity.ChainUntrusted, func(w *world) *Post {
			return w.signed(holder(w.TB, newCA(w.TB, domain, t0), domain, "n1", t0, time.Hour), "1")
		}},
		"a foreign trust domain": {WrongSource, func(w *world) *Post {
			return w.signed(holder(w.TB, newCA(w.TB, "other.example", t0), "other.example", "n1", t0, time.Hour), "1")
		}},
		"a source that is no SPIFFE ID": {WrongSource, func(w *world) *Post {
			c := w.holder("n1")
			c.ID = "fleetfold/node/n1"
			return w.signed(c, "1")
		}},
		"a credential of before the flip": {identity.CertificateExpired, func(w *world) *Post {
			return w.signed(holder(w.TB, w.ca, domain, "n1", t0.Add(-3*time.Hour), 90*time.Minute), "1")
		}},
		"a credential that lapsed long ago": {identity.CertificateExpired, func(w *world) *Post {
			return w.signed(holder(w.TB, w.ca, domain, "n1", t0.Add(-2*time.Hour), 2*time.Hour-DefaultWarnWindow-time.Second), "1")
		}},
		"a credential that is to come": {identity.CertificateNotYetValid, func(w *world) *Post {
			return w.signed(holder(w.TB, w.ca, domain, "n1", t0.Add(time.Hour), time.Hour), "1")
		}},
		"an old post": {Stale, func(w *world) *Post {
			w.now = t0.Add(-DefaultMaxAge - time.Second)
			defer func() { w.now = t0 }()
			return w.signed(w.holder("n1"), "1")
		}},
		"a post of the future": {FromFuture, func(w *world) *Post {
			c := w.holder("n1")
			w.now = t0.Add(DefaultMaxSkew + time.Second)
			defer func() { w.now = t0 }()
			return w.signed(c, "1")
		}},
		"a post without a time": {Stale, func(w *world) *Post {
			c := w.holder("n1")
			p := w.signed(c, "1")
			p.Time = time.Time{}
			return w.resign(p, c.Key, ChainAttribute, AudienceAttribute)
		}},
		"a post for another receiver": {WrongAudience, func(w *world) *Post {
			p := post("1")
			if err := Sign(p, w.holder("n1"), "http://n3.example:8083", t0); err != nil {
				w.Fatal(err)
			}
			return p
		}},
		"a post for nobody": {WrongAudience, func(w *world) *Post {
			c := w.holder("n1")
			p := w.signed(c, "1")
			delete(p.Extensions, AudienceAttribute)
			return w.resign(p, c.Key, ChainAttribute, AudienceAttribute)
		}},
		"no roots": {TrustUnknown, func(w *world) *Post {
			w.source.trust.Roots = nil
			return w.signed(w.holder("n1"), "1")
		}},
	} {
		t.Run(why, func(t *testing.T) {
			w := newWorld(t, nil)
			p := c.make(w)
			w.wants("strict", p, false, "", c.reason)
			roots := w.source.trust.Roots
			w.posture(false, t0)
			w.source.trust.Roots = roots
			w.wants("permissive", p, false, c.reason, "")
			w.wants("permissive, again", p, false, c.reason, "")
		})
	}
}

// What is refused whatever the posture is.
func TestForgeries(t *testing.T) {
	both := []string{ChainAttribute, AudienceAttribute}
	for why, c := range map[string]struct {
		reason fleet.Reason
		make   func(w *world) *Post
	}{
		"other data": {identity.ProofCoreMismatch, func(w *world) *Post {
			p := w.signed(w.holder("n1"), "1")
			p.Data = []byte(`{"v": 2}`)
			return p
		}},
		"another type": {identity.ProofCoreMismatch, func(w *world) *Post {
			p := w.signed(w.holder("n1"), "1")
			p.Type = "example.deleted"
			return p
		}},
		"another time": {identity.ProofCoreMismatch, func(w *world) *Post {
			p := w.signed(w.holder("n1"), "1")
			p.Time = p.Time.Add(time.Minute)
			return p
		}},
		"another audience": {identity.ProofExtMismatch, func(w *world) *Post {
			p := post("1")
			if err := Sign(p, w.holder("n1"), "http://n3.example:8083", t0); err != nil {
				w.Fatal(err)
			}
			p.Extensions[AudienceAttribute] = here
			return p
		}},
		"an audience that nobody signed": {ExtensionUnsigned, func(w *world) *Post {
			c := w.holder("n1")
			return w.resign(w.signed(c, "1"), c.Key, ChainAttribute)
		}},
		"a chain that nobody signed": {ExtensionUnsigned, func(w *world) *Post {
			c := w.holder("n1")
			return w.resign(w.signed(c, "1"), c.Key, AudienceAttribute)
		}},
		"another node's source": {identity.SPIFFEIDMismatch, func(w *world) *Post {
			c := w.holder("n1")
			c.ID = "spiffe://" + domain + "/n2"
			return w.signed(c, "1")
		}},
		"another node's key": {identity.ProofSignature, func(w *world) *Post {
			return w.resign(w.signed(w.holder("n1"), "1"), w.holder("n2").Key, both...)
		}},
		"rubbish for a chain": {identity.CertificateUnparsable, func(w *world) *Post {
			p := w.signed(w.holder("n1"), "1")
			p.Extensions[ChainAttribute] = "!"
			return p
		}},
		"a root for a leaf": {identity.CertificateIsCA, func(w *world) *Post {
			dir := w.TempDir()
			ca, _, err := identity.LoadOrCreateCA(dir, domain, t0)
			if err != nil {
				w.Fatal(err)
			}
			w.source.trust.Roots = append(w.source.trust.Roots, ca.CertificatePEM())
			key, _, err := identity.LoadOrCreateKey(dir + "/ca.key")
			if err != nil {
				w.Fatal(err)
			}
			return w.signed(&Credential{Key: key, ChainPEM: ca.CertificatePEM(), ID: "spiffe://" + domain + "/n1"}, "1")
		}},
		"an over-deep chain": {identity.ChainTooDeep, func(w *world) *Post {
			c := w.holder("n1")
			c.ChainPEM = slices.Concat(c.ChainPEM, w.ca.CertificatePEM(), w.ca.CertificatePEM())
			return w.signed(c, "1")
		}},
		"a node's certificate for an issuer": {identity.IssuerNotCA, func(w *world) *Post {
			c := w.holder("n1")
			c.ChainPEM = slices.Concat(c.ChainPEM, w.holder("n2").ChainPEM)
			return w.signed(c, "1")
		}},
		"rubbish for a proof": {identity.ProofMalformed, func(w *world) *Post {
			p := w.signed(w.holder("n1"), "1")
			p.Proof = []byte("{}")
			return p
		}},
	} {
		t.Run(why, func(t *testing.T) {
			w := newWorld(t, nil)
			p := c.make(w)
			w.wants("strict", p, false, "", c.reason)
			w.source.trust.Posture.Strict = false
			w.wants("permissive", p, false, "", c.reason)
		})
	}
}

func TestACredentialThatLapsesAfterTheFlipIsWarnedOf(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WarnWindow = time.Minute })
	c := holder(t, w.ca, domain, "n1", t0, time.Hour)
	end := t0.Add(time.Hour)
	for why, s := range map[string]struct {
		at             time.Time
		since          time.Time
		doubt, refused fleet.Reason
	}{
		"the last moment":                {at: end, since: t0},
		"a moment later":                 {at: end.Add(time.Second), since: t0, doubt: CredentialLapsed},
		"the end of the window":          {at: end.Add(time.Minute), since: t0, doubt: CredentialLapsed},
		"behind the window":              {at: end.Add(time.Minute + time.Second), since: t0, refused: identity.CertificateExpired},
		"lapsed just before the flip":    {at: end.Add(time.Second), since: end, refused: identity.CertificateExpired},
		"flipped at a time nobody knows": {at: end.Add(time.Second), refused: identity.CertificateExpired},
	} {
		w.now = s.at
		w.posture(true, s.since)
		w.wants(why, w.signed(c, why), s.refused == "", s.doubt, s.refused)
	}
	w.now = end.Add(time.Second)
	w.posture(true, t0)
	crl, err := w.ca.CRL([]identity.Revoked{{Serial: w.serial(c), At: t0}}, 1, t0, t0.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w.source.trust.CRLs = map[string][]byte{w.keyID(): crl}
	w.wants("lapsed and revoked", w.signed(c, "revoked"), false, "", identity.CertificateRevoked)

	w = newWorld(t, func(c *Config) { c.WarnWindow = -1 })
	c = holder(t, w.ca, domain, "n1", t0, time.Hour)
	w.now = end.Add(time.Second)
	w.wants("no window", w.signed(c, "1"), false, "", identity.CertificateExpired)
}

// What a region's issuer signs for a node of another region is refused while strict,
// and so is everything of it while nobody has said who is in the region.
func TestARegionsIssuerSignsForItsOwnNodesOnly(t *testing.T) {
	w := newWorld(t, nil)
	region, _, err := identity.OpenCA(identity.CAConfig{Dir: t.TempDir(), TrustDomain: domain, Region: "oslo", Parent: w.ca}, t0)
	if err != nil {
		t.Fatal(err)
	}
	own, other := holder(t, region, domain, "n1", t0, time.Hour), holder(t, region, domain, "n2", t0, time.Hour)
	say := func(strict, known bool) {
		w.posture(strict, t0.Add(-time.Hour))
		if known {
			w.source.trust.Region = func(label string, id fleet.NodeID) bool { return label == "oslo" && id == "n1" }
		}
	}
	say(true, false)
	w.wants("while regions are not known", w.signed(own, "1"), false, "", TrustUnknown)
	w.wants("the root's own", w.signed(w.holder("n3"), "1"), true, "", "")
	say(false, false)
	w.wants("while regions are not known, permissive", w.signed(own, "2"), false, TrustUnknown, "")
	say(true, true)
	w.wants("its own node", w.signed(own, "3"), true, "", "")
	w.wants("another's node", w.signed(other, "3"), false, "", identity.IssuerRegion)
	say(false, true)
	w.wants("another's node, permissive", w.signed(other, "4"), false, identity.IssuerRegion, "")
}

func TestNothingIsTakenUntilThePostureIsKnown(t *testing.T) {
	w := newWorld(t, nil)
	w.source.trust.Known = false
	w.wants("signed", w.signed(w.holder("n1"), "1"), false, "", PostureUnknown)
	w.wants("unsigned", post("1"), false, "", PostureUnknown)
}

func TestExtensionsThatNobodySignedAreLeftOut(t *testing.T) {
	w := newWorld(t, nil)
	p := w.signed(w.holder("n1"), "1")
	p.Extensions["admin"] = "true"
	w.wants("with an extension put beside", p, true, "", "")
	if _, there := p.Extensions["admin"]; there || len(p.Extensions) != 2 {
		t.Errorf("what reaches the application: %v", p.Extensions)
	}
}

func TestReasonsAreKnownAndDetailsPlain(t *testing.T) {
	for reason := range doubts {
		if !KnownReason(reason) {
			t.Errorf("%s is not known", reason)
		}
	}
	if KnownReason("made_up") {
		t.Error("any reason is known")
	}
	if got := clip("a\nb\x1b[0m" + strings.Repeat("é", 600)); strings.ContainsAny(got, "\n\x1b") || len(got) > maxDetail {
		t.Errorf("clip gives %q", got)
	}
}
