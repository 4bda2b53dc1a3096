package authority_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// meanwhile lets something happen just before the first append.
type meanwhile struct {
	authority.Log
	happens func()
}

func (m meanwhile) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	m.happens()
	return m.Log.Append(ctx, entries...)
}

// board is what was published last, by subject. It is away while err is set.
type board struct {
	mu    sync.Mutex
	texts map[string]eventlog.TrustText
	count int
	err   error
	slow  time.Duration // that each takes
}

func (b *board) PublishTrust(_ context.Context, t eventlog.TrustText) (bool, error) {
	time.Sleep(b.slow) // fake time
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return false, b.err
	}
	key := string(t.Kind) + t.KeyID
	if have, ok := b.texts[key]; ok && (have.Version >= t.Version || t.Kind == eventlog.TrustRegions && bytes.Equal(have.Text, t.Text)) {
		return false, nil
	}
	b.texts[key] = t
	b.count++
	return true, nil
}

func (b *board) get(key string) eventlog.TrustText {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.texts[key]
}

// total is how many texts were published, and how many there are.
func (b *board) total() (published, texts int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count, len(b.texts)
}

func (b *board) crl(o *office, ca *identity.CA) *identity.CRL {
	o.Helper()
	crl, err := identity.ParseCRL(b.get("crl"+identity.KeyIDOf(ca.Fingerprint())).Text, ca.CertificatePEM())
	o.must(err)
	return crl
}

func (o *office) publisher(i *authority.Issuers, b *board, dir string) {
	p := &authority.Publisher{Issuers: i, Bus: b, Dir: dir}
	o.running.Go(func() {
		if err := p.Run(o.ctx, o.view); err != nil && o.ctx.Err() == nil {
			o.Error(err)
		}
	})
	synctest.Wait()
}

func TestWhatTheLogSaysIsPublishedForOthers(t *testing.T) {
	story(t, func(o *office) {
		b := &board{texts: map[string]eventlog.TrustText{}}
		i := o.issuers("ca")
		trust := filepath.Join(o.dir, "trust")
		o.publisher(i, b, trust)
		var posture eventlog.Posture
		o.must(json.Unmarshal(b.get("posture").Text, &posture))
		if posture != (eventlog.Posture{}) || string(b.get("posture").Text) != `{"strict":false,"sequence":0,"generation":0}` {
			t.Errorf("posture at first is %s", b.get("posture").Text)
		}

		inv := o.want()
		a, c := o.issue(i, inv, "a"), o.issue(i, inv, "c")
		roots, _, err := identity.ParseSPIFFEBundle(domain, b.get("bundle").Text)
		if err != nil || len(roots) != 1 || string(roots[0]) != o.root().CertificatePEM {
			t.Errorf("bundle has %d roots, %v", len(roots), err)
		}
		region, err := i.For(o.ctx, inv, inv.Find("a"))
		o.must(err)
		root := region.Root()
		first := b.crl(o, root).Number()

		o.append(events.TypeEnforcementEnabled, "", &events.EnforcementEnabled{Generation: 1, Action: "flip"})
		o.must(json.Unmarshal(b.get("posture").Text, &posture))
		if !posture.Strict || posture.Generation != 1 || posture.Sequence != b.get("posture").Version || !posture.Since.Equal(time.Now()) {
			t.Errorf("posture after the flip is %+v", posture)
		}

		// Removed nodes are revoked, each by its own issuer.
		for _, id := range []fleet.NodeID{"a", "c"} {
			o.append(events.TypeNodeRemoved, id, &events.NodeRemoved{Epoch: 1, Action: "x"})
		}
		for _, of := range []struct {
			ca     *identity.CA
			issued *identity.Issued
			id     fleet.NodeID
			not    *identity.Issued
			notID  fleet.NodeID
		}{{root, c, "c", a, "a"}, {region, a, "a", c, "c"}} {
			v := identity.Verification{Roots: roots, TrustDomain: domain, Node: of.id, CRLs: []*identity.CRL{b.crl(o, of.ca)}, Now: time.Now()}
			if _, err := v.Leaf(of.issued.CertificatePEM); fleet.ReasonOf(err) != identity.CertificateRevoked {
				t.Errorf("%s after its removal: %v", of.id, err)
			}
			v.Node = of.notID
			if _, err := v.Leaf(of.not.CertificatePEM); err != nil {
				t.Errorf("%s by the other's list: %v", of.notID, err)
			}
		}
		if b.crl(o, root).Number().Cmp(first) <= 0 {
			t.Error("the list's number did not grow")
		}
		for _, name := range []string{"bundle.json", "bundle.pem", "crl.pem", "crl.der", "crl-" + identity.KeyIDOf(region.Fingerprint()) + ".der", "posture.json"} {
			if info, err := os.Stat(filepath.Join(trust, name)); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o644 {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestAListIsSignedAgainBeforeItEnds(t *testing.T) {
	story(t, func(o *office) {
		b := &board{texts: map[string]eventlog.TrustText{}}
		i := o.issuers("ca")
		o.publisher(i, b, "")
		inv := o.want()
		o.issue(i, inv, "c")
		ca, err := i.For(o.ctx, inv, inv.Find("c"))
		o.must(err)
		for range 10 {
			before := b.crl(o, ca)
			o.later(12*time.Hour + time.Second)
			after := b.crl(o, ca)
			if after.Number().Cmp(before.Number()) <= 0 || !after.NextUpdate().After(time.Now().Add(11*time.Hour)) {
				t.Fatalf("list %s until %s, before %s", after.Number(), after.NextUpdate(), before.Number())
			}
		}
	})
}

func TestTwoPublishersSayTheSame(t *testing.T) {
	story(t, func(o *office) {
		b := &board{texts: map[string]eventlog.TrustText{}}
		i := o.issuers("ca")
		o.publisher(i, b, "")
		inv := o.want()
		o.issue(i, inv, "a")
		o.issue(i, inv, "c")
		before, _ := b.total()
		o.publisher(o.issuers("ca"), b, "")
		if now, _ := b.total(); now != before {
			t.Errorf("a second publisher published %d texts anew", now-before)
		}
		o.append(events.TypeEnforcementEnabled, "", &events.EnforcementEnabled{Generation: 1, Action: "flip"})
		if now, _ := b.total(); now != before+1 {
			t.Errorf("the flip was published %d times", now-before)
		}
	})
}

func TestWhatCouldNotBePublishedIsTriedAgain(t *testing.T) {
	story(t, func(o *office) {
		b := &board{texts: map[string]eventlog.TrustText{}, err: errors.New("away")}
		i := o.issuers("ca")
		o.publisher(i, b, "")
		inv := o.want()
		o.issue(i, inv, "a")
		o.later(time.Minute)
		if n, _ := b.total(); n != 0 {
			t.Fatal("something was published")
		}
		b.mu.Lock()
		b.err = nil
		b.mu.Unlock()
		o.later(2 * time.Second)
		if _, n := b.total(); n != 4+identity.RegionShards {
			t.Errorf("published %d texts, want bundle, posture, two lists and the regions", n)
		}
	})
}
