package audit_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"iter"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

// regions a fleet has, each with an intermediate.
const regions = 10

// life is the history of a fleet that never was: real certificates and proofs,
// and plans as the rules give them, but nobody who carries them out. It is written
// as it is read, so that it may be longer than memory is large.
type life struct {
	t       testing.TB
	nodes   int
	records uint64
	text    []byte
	inv     *fleet.Inventory
	root    *identity.CA
	issuers map[string]*identity.CA // by region
	members map[fleet.NodeID]*member
	ids     []fleet.NodeID
	desired *decide.Desired
}

// member is a node with its key, which it keeps.
type member struct {
	key     *ecdsa.PrivateKey
	csr     *x509.CertificateRequest
	key256  string
	region  string
	session int
}

// margin is more than one thing that happens leads to.
const margin = 100

var dawn = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

// newLife is of a strict fleet of that many nodes, with that many records.
func newLife(t testing.TB, nodes int, records uint64) *life {
	l := &life{t: t, nodes: nodes, records: records, issuers: make(map[string]*identity.CA), members: make(map[fleet.NodeID]*member)}
	var b strings.Builder
	b.WriteString("trust_domain: fleet.example\nregions:\n")
	for r := range regions {
		fmt.Fprintf(&b, "  - name: r%d\n    intermediate_ca: i%d\n    nodes:\n", r, r)
		for n := r; n < nodes; n += regions {
			fmt.Fprintf(&b, "      - {id: region/r%d/node-%d, attestor: mtls-cert, cred_ttl: 24h, renew_before: 6h}\n", r, n)
		}
	}
	b.WriteString("quorum: {width: 1}\nenforcement: {require_sig: true}\n")
	l.text = []byte(b.String())
	inv, report := inventory.Parse(l.text)
	l.must(report.Err())
	l.inv, l.desired = inv, decide.NewDesired(inv)
	l.authority()
	for _, region := range inv.Regions {
		for _, n := range region.Nodes {
			l.join(n.ID, region.Name)
		}
	}
	return l
}

func (l *life) must(err error) {
	if err != nil {
		l.t.Helper()
		l.t.Fatal(err)
	}
}

func (l *life) authority() {
	dir := l.t.TempDir()
	var err error
	l.root, _, err = identity.OpenCA(identity.CAConfig{Dir: dir, TrustDomain: l.inv.TrustDomain}, dawn)
	l.must(err)
	for _, region := range l.inv.Regions {
		c := identity.CAConfig{Dir: filepath.Join(dir, region.Name), TrustDomain: l.inv.TrustDomain, Region: region.Name, Parent: l.root}
		l.issuers[region.Name], _, err = identity.OpenCA(c, dawn)
		l.must(err)
	}
}

func (l *life) join(id fleet.NodeID, region string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	l.must(err)
	text, err := identity.NewCSR(key)
	l.must(err)
	csr, err := identity.ParseCSR(text)
	l.must(err)
	fingerprint, err := identity.Fingerprint(&key.PublicKey)
	l.must(err)
	l.members[id] = &member{key: key, csr: csr, key256: fingerprint, region: region}
	l.ids = append(l.ids, id)
}

// Inventory is the only one.
func (l *life) Inventory(_ context.Context, digest string) ([]byte, error) {
	if digest != inventory.Digest(l.text) {
		return nil, eventlog.ErrNoInventory
	}
	return l.text, nil
}

// Records tells the life anew, and another one each time: nonces and serials are
// drawn.
func (l *life) Records(_ context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		if after > 0 {
			yield(eventlog.Record{}, fmt.Errorf("a life begins at its beginning"))
			return
		}
		t := &telling{
			life: l, yield: yield, st: projection.New(), at: dawn, random: mathrand.New(mathrand.NewPCG(1, 2)),
			given: decide.Given{Settled: true, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy()},
		}
		t.rise()
		for !t.over && t.st.Sequence()+margin < l.records {
			t.happen()
		}
		for !t.over && t.st.Sequence() < l.records { // one record at a time, to end where it should
			t.appear(t.ids[t.random.IntN(len(t.ids))])
		}
	}
}

// telling is one run of a life.
type telling struct {
	*life
	yield   func(eventlog.Record, error) bool
	over    bool
	st      *projection.State
	at      time.Time
	random  *mathrand.Rand
	decider decide.Incremental
	given   decide.Given
	// todo are the steps that were published and not carried out.
	todo []engine.Step
}

func (t *telling) say(typ events.Type, node fleet.NodeID, data events.Payload) {
	t.tell(&events.Event{ID: fmt.Sprintf("%s-%d", typ, t.st.Sequence()+1), Source: events.SourcePlanner, Type: typ, Node: node, Time: t.at, Data: data})
}

func (t *telling) tell(e *events.Event) {
	m, err := events.Encode(events.DefaultSubjects(), e)
	t.must(err)
	r := eventlog.Record{Sequence: t.st.Sequence() + 1, Time: t.at, Message: m}
	r.Event, r.Err = events.Decode(events.DefaultSubjects(), m)
	t.must(r.Err)
	_, err = t.st.Apply(r.Sequence, r.Time, r.Event)
	t.must(err)
	t.over = t.over || !t.yield(r, nil)
	t.at = t.at.Add(3 * time.Millisecond)
}

// rise enrols everybody and makes the fleet strict.
func (t *telling) rise() {
	t.say(events.TypeTrustPublished, "", &events.TrustPublished{
		TrustDomain: t.inv.TrustDomain, Fingerprint: t.root.Fingerprint(), CertificatePEM: string(t.root.CertificatePEM()),
	})
	for _, region := range t.inv.Regions {
		ca := t.issuers[region.Name]
		t.say(events.TypeTrustDelegated, "", &events.TrustDelegated{
			TrustDomain: t.inv.TrustDomain, Region: region.Name, Fingerprint: ca.Fingerprint(), Issuer: t.root.Fingerprint(),
			Serial: ca.Serial(), NotAfter: ca.NotAfter(), CertificatePEM: string(ca.CertificatePEM()),
		})
	}
	t.say(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: inventory.Digest(t.text), Generation: 1, Actor: "test"})
	for t.plan() {
		t.carryOut()
	}
}

// plan publishes what is to be done now; false if that is nothing.
func (t *telling) plan() bool {
	t.given.Now = t.at
	d := t.decider.Plan(t.st, t.desired, t.given)
	if len(d.Publish) == 0 || t.over {
		return false
	}
	t.todo = d.Publish
	id, basis := engine.PlanIDFor(d.Publish), t.st.Sequence()
	p := t.given.Record()
	p.Plan, p.Basis, p.InventoryDigest, p.Generation = id, basis, inventory.Digest(t.text), 1
	p.Held, p.HeldTotal = d.Held[:min(len(d.Held), events.MaxHeldListed)], len(d.Held)
	var actions []*events.Event
	for i, s := range d.Publish {
		data := &events.ActionRequested{Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation}
		p.Actions = append(p.Actions, *data)
		actions = append(actions, &events.Event{
			ID: string(s.ActionID), Source: events.SourcePlanner, Type: events.TypeOfAction(s.Type), Node: s.ID, Time: t.at, Data: data,
			Step: &events.Step{Plan: id, Step: i + 1, Steps: len(d.Publish), Basis: basis},
		})
	}
	t.tell(&events.Event{ID: string(id), Source: events.SourcePlanner, Type: events.TypePlanDecided, Time: t.at, Data: p})
	for _, e := range actions {
		t.tell(e)
	}
	return true
}

func (t *telling) carryOut() {
	for _, s := range t.todo {
		switch s.Type {
		case fleet.EnrollNode:
			t.appear(s.ID)
			if !t.st.CanSign(s.ID) {
				t.certify(s.ID, s.ActionID)
			}
		case fleet.IssueCredential:
			t.certify(s.ID, s.ActionID)
		case fleet.EnableStrictEnforcement:
			t.say(events.TypeEnforcementEnabled, "", &events.EnforcementEnabled{Generation: s.Generation, Action: s.ActionID})
		default:
			t.t.Fatalf("%s was never wanted", s.Type)
		}
		t.say(events.TypeActionSucceeded, s.ID, &events.ActionSucceeded{Type: s.Type, ID: s.ID, Action: s.ActionID, DurationMS: 12})
	}
	t.todo = nil
}

// appear begins another session of a node.
func (t *telling) appear(id fleet.NodeID) {
	m := t.members[id]
	m.session++
	t.say(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, Session: fmt.Sprint("session-", m.session), KeyFingerprint: m.key256})
	if n, _ := t.st.Node(id); n.Bundle == "" {
		t.say(events.TypeNodeBundleReported, id, &events.NodeBundleReported{Epoch: 1, Digest: events.BundleDigest(t.root.CertificatePEM())})
	}
}

// certify issues a credential, by an action or as a renewal, and proves it.
func (t *telling) certify(id fleet.NodeID, action fleet.ActionID) {
	m := t.members[id]
	issued, err := t.issuers[m.region].Issue(m.csr, id, 24*time.Hour, t.at)
	t.must(err)
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	d := &events.CredentialIssued{
		Epoch: 1, Action: action, Serial: issued.Serial, Nonce: hex.EncodeToString(nonce[:]), KeyFingerprint: issued.KeyFingerprint,
		NotBefore: issued.NotBefore, NotAfter: issued.NotAfter, Issuer: issued.Issuer, CertificatePEM: string(issued.CertificatePEM),
	}
	if n, _ := t.st.Node(id); action == "" {
		d.Renews = n.Proved.Serial
	}
	t.say(events.TypeCredentialIssued, id, d)
	source, err := identity.SPIFFEID(t.inv.TrustDomain, id)
	t.must(err)
	e := &events.Event{
		ID: "proof-" + d.Serial, Source: source, Type: events.TypeCredentialProved, Node: id, Time: t.at,
		Data: &events.CredentialProved{Epoch: 1, Serial: d.Serial, Nonce: d.Nonce},
	}
	t.must(proof.SignEvent(m.key, e))
	t.tell(e)
}

// happen lets one thing happen to one node, and the fleet answer to it.
func (t *telling) happen() {
	id := t.ids[t.random.IntN(len(t.ids))]
	n, _ := t.st.Node(id)
	switch chance := t.random.IntN(100); {
	case chance < 55: // it renews in time
		t.certify(id, "")
	case chance < 75: // its machine restarts
		t.say(events.TypeNodeLost, id, &events.NodeLost{Epoch: 1, Reason: "lease_expired"})
		t.at = t.at.Add(6 * time.Second)
		t.plan()
		t.carryOut()
	case chance < 85: // it comes back without its credential
		t.appear(id)
		t.say(events.TypeCredentialRevoked, id, &events.CredentialRevoked{Epoch: 1, Serial: n.Proved.Serial, Reason: "credential_lost"})
		t.plan()
		t.carryOut()
	case chance < 90: // it does not come up at the first attempt
		t.say(events.TypeNodeLost, id, &events.NodeLost{Epoch: 1, Reason: "lease_expired"})
		t.at = t.at.Add(6 * time.Second)
		t.plan()
		t.failAll()
		t.at = t.at.Add(3 * time.Second)
		t.plan()
		t.carryOut()
	case chance < 95: // it is taken down and up again
		t.say(events.TypeNodeLeft, id, &events.NodeLeft{Epoch: 1})
		t.plan()
		t.carryOut()
	default:
		t.appear(id)
	}
	t.at = t.at.Add(20 * time.Second)
}

func (t *telling) failAll() {
	for _, s := range t.todo {
		t.say(events.TypeActionFailed, s.ID, &events.ActionFailed{
			Type: s.Type, ID: s.ID, Action: s.ActionID, DurationMS: 5000, Reason: "timeout", Detail: "the node did not appear within 5s",
		})
	}
	t.todo = nil
}
