package receiver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// shelf has inventories by digest; while it is away it has none.
type shelf struct {
	by   map[string]*fleet.Inventory
	away atomic.Bool
}

func (s *shelf) Get(_ context.Context, digest string) (*fleet.Inventory, error) {
	if inv := s.by[digest]; inv != nil && !s.away.Load() {
		return inv, nil
	}
	return nil, errors.New("there is none")
}

// ledger is a log in memory, in fake time, and a Log that follows it.
type ledger struct {
	*testing.T
	log    *eventlog.Memory
	source *Log
	shelf  *shelf
	keys   map[fleet.NodeID]*ecdsa.PrivateKey
}

func (l *ledger) say(node fleet.NodeID, typ events.Type, data events.Payload) {
	l.Helper()
	e := &events.Event{ID: events.NewID(string(typ), string(node), time.Now().String()), Source: events.SourceExecutor, Type: typ, Node: node, Time: time.Now(), Data: data}
	if typ == events.TypeCredentialProved {
		e.DSSEMaterial = []byte("{}")
	}
	if _, err := l.log.Append(l.Context(), eventlog.Entry{Event: e}); err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
	time.Sleep(time.Millisecond) // so that no two events are the same
}

func (l *ledger) apply(generation uint64, inv *fleet.Inventory) {
	l.Helper()
	digest := "sha256:" + string(make64(byte('0'+generation)))
	l.shelf.by[digest] = inv
	l.say("", events.TypeInventoryApplied, &events.InventoryApplied{Digest: digest, Generation: generation, Actor: "test"})
}

func make64(c byte) (text []byte) {
	for range 64 {
		text = append(text, c)
	}
	return text
}

// give has ca issue a credential to the node, which proves it.
func (l *ledger) give(ca *identity.CA, id fleet.NodeID) *Credential {
	l.Helper()
	if l.keys[id] == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			l.Fatal(err)
		}
		l.keys[id] = key
	}
	c := holderOf(l, l.keys[id], ca, domain, id, time.Now(), time.Hour)
	leaf := mustChain(l, c.ChainPEM)
	d := &events.CredentialIssued{
		Epoch: 1, Action: actionID, Serial: identity.SerialOf(leaf), Nonce: "00112233445566778899aabbccddeeff", KeyFingerprint: fingerprint(l, c),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Issuer: ca.Fingerprint(), CertificatePEM: string(c.ChainPEM),
	}
	l.say(id, events.TypeNodeAppeared, &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: d.KeyFingerprint})
	l.say(id, events.TypeCredentialIssued, d)
	l.say(id, events.TypeCredentialProved, &events.CredentialProved{Epoch: 1, Serial: d.Serial, Nonce: d.Nonce})
	return c
}

func fingerprint(t testing.TB, c *Credential) string {
	t.Helper()
	text, err := identity.Fingerprint(c.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// verdict is what the source says of a credential.
func (l *ledger) verdict(c *Credential, id fleet.NodeID) fleet.Reason {
	l.Helper()
	chain, err := identity.ParseChain(c.ChainPEM)
	if err != nil {
		l.Fatal(err)
	}
	t := l.source.Trust()
	e := evidence{trust: t, chain: chain, node: id}
	if reason := t.Revoked(id, chain[0]); reason != "" {
		return reason
	}
	return fleet.ReasonOf(e.checkRegion())
}

func (l *ledger) finds(why string, c *Credential, id fleet.NodeID, want fleet.Reason) {
	l.Helper()
	if got := l.verdict(c, id); got != want {
		l.Errorf("%s: %q, want %q", why, got, want)
	}
}

func inventoryOf(of map[string][]fleet.NodeID) *fleet.Inventory {
	inv := &fleet.Inventory{TrustDomain: domain, QuorumWidth: 1}
	for _, name := range []string{"nyc", "oslo"} {
		region := fleet.Region{Name: name, IntermediateCA: name}
		for _, id := range of[name] {
			region.Nodes = append(region.Nodes, fleet.Node{ID: id})
		}
		inv.Regions = append(inv.Regions, region)
	}
	return inv
}

// bothRegions are issuers that the log tells of.
func (l *ledger) bothRegions() (nyc, oslo *identity.CA) {
	l.Helper()
	root := newCA(l, domain, time.Now())
	l.say("", events.TypeTrustPublished, &events.TrustPublished{TrustDomain: domain, Fingerprint: root.Fingerprint(), CertificatePEM: string(root.CertificatePEM())})
	made := make(map[string]*identity.CA)
	for _, region := range []string{"nyc", "oslo"} {
		ca, _, err := identity.OpenCA(identity.CAConfig{Dir: l.TempDir(), TrustDomain: domain, Region: region, Parent: root}, time.Now())
		if err != nil {
			l.Fatal(err)
		}
		l.say("", events.TypeTrustDelegated, &events.TrustDelegated{
			TrustDomain: domain, Region: region, Fingerprint: ca.Fingerprint(), Issuer: root.Fingerprint(), Serial: ca.Serial(), NotAfter: ca.NotAfter(), CertificatePEM: string(ca.CertificatePEM()),
		})
		made[region] = ca
	}
	return made["nyc"], made["oslo"]
}

// A receiver on the log knows regions, revocations and what was superseded from the
// fold and the inventory in force.
func TestTheLogSaysWhoIsInARegion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{T: t, log: eventlog.NewMemory(events.DefaultSubjects(), time.Now), shelf: &shelf{by: make(map[string]*fleet.Inventory)}, keys: make(map[fleet.NodeID]*ecdsa.PrivateKey)}
		v := view.New(l.log)
		l.source = FromView(LogConfig{View: v, Inventories: l.shelf, TrustDomain: domain})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = v.Run(ctx) }()
		go l.source.Run(ctx)
		nyc, oslo := l.bothRegions()
		l.shelf.away.Store(true)
		l.apply(1, inventoryOf(map[string][]fleet.NodeID{"nyc": {"n1"}, "oslo": {"n2"}}))
		first := l.give(nyc, "n1")
		l.finds("while no inventory can be read", first, "n1", TrustUnknown)
		l.shelf.away.Store(false)
		time.Sleep(longestWait)
		synctest.Wait()
		l.finds("in its region", first, "n1", "")
		second := l.give(oslo, "n2")
		l.finds("another's node", holder(t, nyc, domain, "n2", time.Now(), time.Hour), "n2", identity.IssuerRegion)
		l.finds("in its region", second, "n2", "")

		l.apply(2, inventoryOf(map[string][]fleet.NodeID{"oslo": {"n1", "n2"}}))
		synctest.Wait()
		l.finds("moved, with what it has", first, "n1", "")
		moved := l.give(oslo, "n1")
		l.finds("moved, with the next", moved, "n1", "")
		l.finds("moved, not having heard that the next one counts", first, "n1", "")
		time.Sleep(identity.SupersededAfter)
		l.finds("a copy of what it had", first, "n1", identity.CertificateSuperseded)
		l.finds("what its old region signs for it later", holder(t, nyc, domain, "n1", time.Now(), time.Hour), "n1", identity.IssuerRegion)
		l.finds("the one in use", moved, "n1", "")

		l.say("n1", events.TypeCredentialRevoked, &events.CredentialRevoked{Epoch: 1, Serial: identity.SerialOf(mustChain(t, moved.ChainPEM)), Reason: "key_changed"})
		l.finds("revoked by its serial", moved, "n1", identity.CertificateRevoked)
		l.finds("another's", second, "n2", "")
	})
}
