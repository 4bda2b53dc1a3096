package planner_test

import (
	encpem "encoding/pem"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

const twoRegions = `
trust_domain: fleet.example
regions:
  - name: nyc
    intermediate_ca: nyc
    nodes:
      - {id: n1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
  - name: oslo
    intermediate_ca: oslo
    nodes:
      - {id: n2, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
`

const moved = `
trust_domain: fleet.example
regions:
  - name: oslo
    intermediate_ca: oslo
    nodes:
      - {id: n1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: n2, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
`

func (s *site) intermediate(root *identity.CA, region string) *identity.CA {
	s.t.Helper()
	ca, _, err := identity.OpenCA(identity.CAConfig{
		Dir: filepath.Join(s.t.TempDir(), "region"), TrustDomain: "fleet.example", Parent: root, Region: region,
	}, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return ca
}

// pem stands for a certificate.
func pem(n byte) []byte {
	return encpem.EncodeToMemory(&encpem.Block{Type: "CERTIFICATE", Bytes: []byte{n}})
}

// refused waits until the border has refused so many messages for that reason.
func (s *site) refused(m *planner.Metrics, reason fleet.Reason, want int) {
	s.t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for refusals(s.t, m, reason) < want {
		select {
		case <-again.C:
		case <-s.ctx.Done():
			s.t.Fatalf("%d were refused for %s, want %d", refusals(s.t, m, reason), reason, want)
		}
	}
}

// refusals counts the messages that the border refused for that reason.
func refusals(t *testing.T, m *planner.Metrics, reason fleet.Reason) int {
	t.Helper()
	text, err := testutil.CollectAndFormat(m, expfmt.TypeTextPlain, "fleetfold_messages_refused_total")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`reason="` + string(reason) + `"} (\d+)`).FindSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What a region's intermediate signs for another region's node proves nothing.
func TestAnIntermediateProvesNothingForAnotherRegion(t *testing.T) {
	s := newSite(t)
	v, metrics := s.planner()
	root := s.trust("fleet.example")
	nyc, oslo := s.intermediate(root, "nyc"), s.intermediate(root, "oslo")
	n1, n2 := s.node("n1"), s.node("n2")
	for _, n := range []*node{n1, n2} {
		s.beat(n)
		s.next(events.TypeNodeAppeared)
	}
	s.apply(v, twoRegions)
	s.next(events.TypeInventoryApplied)
	s.prove(n2, n2.key, "spiffe://fleet.example/n2", s.issue(nyc, n2))
	s.prove(n1, n1.key, "spiffe://fleet.example/n1", s.issue(nyc, n1))
	if r := s.next(events.TypeCredentialProved); r.Event.Node != "n1" {
		t.Fatalf("%s has proved", r.Event.Node)
	}
	s.refused(metrics, identity.IssuerRegion, 1)
	s.prove(n2, n2.key, "spiffe://fleet.example/n2", s.issue(oslo, n2))
	if r := s.next(events.TypeCredentialProved); r.Event.Node != "n2" {
		t.Fatalf("%s has proved", r.Event.Node)
	}

	// A node that is moved keeps what it has proved; its next one is by the
	// intermediate of its new region.
	s.apply(v, moved)
	s.next(events.TypeInventoryApplied)
	s.prove(n1, n1.key, "spiffe://fleet.example/n1", s.issue(nyc, n1))
	s.refused(metrics, identity.IssuerRegion, 2)
	fresh := s.issue(oslo, n1)
	s.prove(n1, n1.key, "spiffe://fleet.example/n1", fresh)
	if r := s.next(events.TypeCredentialProved); r.Event.Data.(*events.CredentialProved).Serial != fresh.Serial {
		t.Error("the intermediate of the region it has left was believed")
	}
	if err := v.CatchUp(s.ctx); err != nil {
		t.Fatal(err)
	}
	v.Read(func(st *projection.State) {
		if !st.CanSign("n1") || !st.CanSign("n2") {
			t.Error("a node cannot sign")
		}
	})
}

// What a retired issuer signed and nobody has proved by then proves nothing.
func TestARetiredIssuerProvesNothing(t *testing.T) {
	s := newSite(t)
	v, metrics := s.planner()
	root := s.trust("fleet.example")
	nyc := s.intermediate(root, "nyc")
	n1 := s.node("n1")
	s.beat(n1)
	s.next(events.TypeNodeAppeared)
	s.apply(v, twoRegions)
	s.next(events.TypeInventoryApplied)
	issued := s.issue(nyc, n1)
	late := *issued
	late.Issuer, late.Nonce = nyc.Fingerprint(), "6c6174656c6174656c6174656c617465"
	s.append(&events.Event{Type: events.TypeCredentialIssued, Node: n1.id, Data: &late})
	s.prove(n1, n1.key, "spiffe://fleet.example/n1", &late)
	s.refused(metrics, identity.CertificateRevoked, 1)
	again := s.issue(nyc, n1)
	s.prove(n1, n1.key, "spiffe://fleet.example/n1", again)
	if r := s.next(events.TypeCredentialProved); r.Event.Data.(*events.CredentialProved).Serial != again.Serial {
		t.Error("the retired issuer was believed")
	}
}

// A changed bundle of a node is a fact, once for each change.
func TestTheBundleOfANodeIsAFact(t *testing.T) {
	s := newSite(t)
	s.planner()
	n := s.node("n1")
	for _, bundle := range []string{"", events.BundleDigest(pem(1)), events.BundleDigest(pem(1)), events.BundleDigest(pem(1), pem(2))} {
		err := s.bus.Beat(s.ctx, n.id, &events.Event{
			ID: events.NewID("beat", string(n.id)), Source: events.NodeSource(n.id), Type: events.TypeNodeHeartbeat, Node: n.id, Time: time.Now(),
			Data: &events.Heartbeat{Session: "session", LeaseSeconds: 60, KeyFingerprint: n.fingerprint, Bundle: bundle},
		}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if bundle == "" {
			s.next(events.TypeNodeAppeared)
		}
	}
	last := events.BundleDigest(pem(1), pem(2))
	for seen := ""; seen != last; {
		d := s.next(events.TypeNodeBundleReported).Event.Data.(*events.NodeBundleReported)
		if d.Digest == seen || d.Epoch != 1 {
			t.Fatalf("reported %+v after %s", d, seen)
		}
		seen = d.Digest
	}
}

// A node id that comes back begins a new epoch: what was given to its old life,
// and the proof of it, count for nothing.
func TestAProofOfAnOlderEpochProvesNothing(t *testing.T) {
	s := newSite(t)
	v, metrics := s.planner()
	root := s.trust("fleet.example")
	n := s.node("n1")
	s.beat(n)
	s.next(events.TypeNodeAppeared)
	s.apply(v, twoRegions)
	s.next(events.TypeInventoryApplied)
	old := s.issue(root, n)
	s.prove(n, n.key, "spiffe://fleet.example/n1", old)
	s.next(events.TypeCredentialProved)
	s.append(&events.Event{Type: events.TypeNodeRemoved, Node: n.id, Data: &events.NodeRemoved{Epoch: 1, Action: "decommission-by-hand"}})
	s.beat(n)
	if d := s.next(events.TypeNodeAppeared).Event.Data.(*events.NodeAppeared); d.Epoch != 2 {
		t.Fatalf("it came back in epoch %d", d.Epoch)
	}
	s.prove(n, n.key, "spiffe://fleet.example/n1", old)
	s.refused(metrics, planner.RefusedNoChallenge, 1)
	v.Read(func(st *projection.State) {
		revoked := st.Revoked()
		if st.CanSign(n.id) || len(revoked) != 1 || revoked[0].Serial != old.Serial {
			t.Errorf("can sign: %v, revoked: %+v", st.CanSign(n.id), revoked)
		}
	})
}
