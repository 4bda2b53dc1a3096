package handlers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/proof"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// desk is a real server with renewers; the test plays planner and agents.
type desk struct {
	*testing.T
	ctx     context.Context
	server  *natsd.Server
	bus     *eventlog.Bus
	view    *view.View
	ca      *identity.CA
	config  handlers.Config
	metrics *handlers.RenewalMetrics
	key     *ecdsa.PrivateKey // of node "b"
	serial  string            // that it has proved
}

// newDesk has a node "b" that has proved a credential which began and ends as
// said, as seen from now.
func newDesk(t *testing.T, ago, left time.Duration) *desk {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	d := &desk{T: t, ctx: ctx, metrics: handlers.NewRenewalMetrics(), key: newKey(t)}
	var err error
	d.server, err = natsd.Start(natsd.Options{Dir: filepath.Join(t.TempDir(), "js"), Logger: zerolog.Nop()})
	must(t, err)
	t.Cleanup(d.server.Shutdown)
	d.bus = d.connect()
	must(t, d.bus.EnsureStreams(ctx))
	vouches, err := attest.OpenLocal(t.TempDir(), nil)
	must(t, err)
	d.view = d.follow(d.bus)
	d.config = handlers.Config{
		Log: d.bus.Log(), View: d.view, Inventories: view.NewInventories(d.bus.GetInventory), Commands: d.bus,
		Attest: vouches.Verifiers(), CADir: filepath.Join(t.TempDir(), "ca"), Logger: zerolog.Nop(),
	}
	_, _, err = planner.Apply(ctx, d.bus, d.bus.Log(), d.view, []byte(oneNode), "test", "", time.Now())
	must(t, err)
	_, err = handlers.New(ctx, d.config) // publishes the root
	must(t, err)
	d.ca, _, err = identity.LoadOrCreateCA(d.config.CADir, "fleet.example", time.Now())
	must(t, err)
	d.tell(events.TypeNodeAppeared, "b", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: d.fingerprint(d.key)})
	d.serial = d.prove(d.grant("b", d.key, ago, left))
	return d
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func (d *desk) fingerprint(key *ecdsa.PrivateKey) string {
	text, err := identity.Fingerprint(key.Public())
	must(d.T, err)
	return text
}

func (d *desk) connect() *eventlog.Bus {
	d.Helper()
	bus, err := eventlog.Connect(d.ctx, eventlog.Options{InProcess: d.server, Name: d.Name()})
	must(d.T, err)
	d.Cleanup(bus.Close)
	return bus
}

// follow runs a view until the test ends.
func (d *desk) follow(bus *eventlog.Bus) *view.View {
	v := view.New(bus.Log())
	ctx, cancel := context.WithCancel(d.ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = v.Run(ctx) })
	d.Cleanup(func() { cancel(); running.Wait() })
	return v
}

// open runs a renewer with a connection and a view of its own.
func (d *desk) open() {
	d.Helper()
	bus, c := d.connect(), d.config
	c.Log, c.View, c.Commands = bus.Log(), d.follow(bus), bus
	r, err := handlers.NewRenewer(c, bus, d.metrics)
	must(d.T, err)
	ctx, cancel := context.WithCancel(d.ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			d.Error(err)
		}
	})
	d.Cleanup(func() { cancel(); running.Wait() })
	for { // until it listens
		_, err := d.bus.Request(d.ctx, "stranger", d.signed("stranger", d.key, nil))
		if err == nil {
			return
		}
		if d.ctx.Err() != nil || !strings.Contains(err.Error(), "no executor listens") {
			d.Fatal(err)
		}
	}
}

func (d *desk) tell(kind events.Type, id fleet.NodeID, data events.Payload) {
	d.Helper()
	e := &events.Event{ID: events.NewID(string(kind), rand.Text()), Source: "fleetfold/test", Type: kind, Node: id, Time: time.Now(), Data: data}
	if kind == events.TypeCredentialProved {
		e.DSSEMaterial = []byte("{}")
	}
	_, err := d.bus.Log().Append(d.ctx, eventlog.Entry{Event: e})
	must(d.T, err)
	must(d.T, d.view.CatchUp(d.ctx))
}

func (d *desk) csr(key *ecdsa.PrivateKey) string {
	csr, err := identity.NewCSR(key)
	must(d.T, err)
	return string(csr)
}

// grant puts credential.issued on the log, as of some time ago.
func (d *desk) grant(id fleet.NodeID, key *ecdsa.PrivateKey, ago, left time.Duration) *events.CredentialIssued {
	d.Helper()
	csr, err := identity.ParseCSR([]byte(d.csr(key)))
	must(d.T, err)
	ca, _, err := identity.LoadOrCreateCA(filepath.Join(d.TempDir(), "old"), "fleet.example", time.Now().Add(-ago-time.Hour))
	must(d.T, err)
	d.tell(events.TypeTrustPublished, "", &events.TrustPublished{
		TrustDomain: "fleet.example", Fingerprint: d.fingerprint(key), CertificatePEM: string(ca.CertificatePEM()),
	})
	issued, err := ca.Issue(csr, id, ago+left, time.Now().Add(-ago))
	must(d.T, err)
	c := &events.CredentialIssued{
		Epoch: 1, Action: "issue-1", Serial: issued.Serial, Nonce: "nonce", KeyFingerprint: issued.KeyFingerprint,
		NotBefore: issued.NotBefore, NotAfter: issued.NotAfter, CertificatePEM: string(issued.CertificatePEM),
	}
	d.tell(events.TypeCredentialIssued, id, c)
	return c
}

func (d *desk) prove(c *events.CredentialIssued) (serial string) {
	d.Helper()
	d.tell(events.TypeCredentialProved, "b", &events.CredentialProved{Epoch: 1, Serial: c.Serial, Nonce: c.Nonce})
	return c.Serial
}

// signed is the request of a node that uses d.serial; change may be nil.
func (d *desk) signed(id fleet.NodeID, key *ecdsa.PrivateKey, change func(*events.Event, *events.RenewalRequested)) *events.Event {
	d.Helper()
	source, err := identity.SPIFFEID("fleet.example", id)
	must(d.T, err)
	data := &events.RenewalRequested{Epoch: 1, Serial: d.serial, CSRPEM: d.csr(d.key), Nonce: rand.Text()}
	e := &events.Event{ID: rand.Text(), Source: source, Type: events.TypeRenewalRequested, Node: id, Time: time.Now(), Data: data}
	if change != nil {
		change(e, data)
	}
	must(d.T, proof.SignEvent(key, e))
	return e
}

// ask sends a request of "b" and returns what is answered. Requests that come
// too quickly are repeated as agents do: that they are refused has its own test.
func (d *desk) ask(e *events.Event) events.Payload {
	d.Helper()
	for {
		answer, err := d.bus.Request(d.ctx, e.Node, e)
		must(d.T, err)
		if a, ok := answer.Data.(*events.CommandAnswered); !ok || a.Reason != handlers.RefusedTooMany {
			return answer.Data
		}
	}
}

func (d *desk) count(kind events.Type) (n int) {
	d.Helper()
	records, err := d.bus.Log().Read(d.ctx, 0, 1000)
	must(d.T, err)
	for _, r := range records {
		if r.Event.Type == kind {
			n++
		}
	}
	return n
}

func pending(serial string) func(*events.Event, *events.RenewalRequested) {
	return func(_ *events.Event, d *events.RenewalRequested) { d.PendingSerial = serial }
}

func TestARenewalIsIssuedOnceAndConfirmed(t *testing.T) {
	d := newDesk(t, 50*time.Minute, 10*time.Minute)
	d.open()
	first, ok := d.ask(d.signed("b", d.key, nil)).(*events.CredentialDelivered)
	if !ok {
		t.Fatal("no credential was delivered")
	}
	if first.Serial == d.serial || first.Epoch != 1 || first.RenewBeforeSeconds != 15*60 {
		t.Errorf("delivered %+v", first)
	}
	var issued *projection.Credential
	must(t, d.view.CatchUp(d.ctx))
	d.view.Read(func(s *projection.State) { n, _ := s.Node("b"); issued = n.Issued })
	if issued.Serial != first.Serial || issued.KeyFingerprint != d.fingerprint(d.key) {
		t.Errorf("the log has %+v", issued)
	}
	for name, change := range map[string]func(*events.Event, *events.RenewalRequested){"without": nil, "with it": pending(first.Serial)} {
		if again, ok := d.ask(d.signed("b", d.key, change)).(*events.CredentialDelivered); !ok || again.Serial != first.Serial {
			t.Errorf("asked again %s: %+v", name, again)
		}
	}
	d.tell(events.TypeCredentialProved, "b", &events.CredentialProved{Epoch: 1, Serial: first.Serial, Nonce: first.Nonce})
	if c, ok := d.ask(d.signed("b", d.key, pending(first.Serial))).(*events.CredentialConfirmed); !ok || c.Serial != first.Serial {
		t.Errorf("after the proof: %+v", c)
	}
	// A node whose files were set back is handed what it has proved.
	if again, ok := d.ask(d.signed("b", d.key, nil)).(*events.CredentialDelivered); !ok || again.Serial != first.Serial {
		t.Errorf("without what was proved: %+v", again)
	}
	if n := d.count(events.TypeCredentialIssued); n != 2 {
		t.Errorf("%d credentials were issued, want 1 and the one before", n)
	}
}

func TestTwoExecutorsIssueOne(t *testing.T) {
	d := newDesk(t, 50*time.Minute, 10*time.Minute)
	d.open()
	d.open()
	var asked sync.WaitGroup
	for range 8 {
		e := d.signed("b", d.key, nil)
		asked.Go(func() {
			if _, err := d.bus.Request(d.ctx, "b", e); err != nil {
				t.Error(err)
			}
		})
	}
	asked.Wait()
	if n := d.count(events.TypeCredentialIssued); n != 2 {
		t.Errorf("%d credentials were issued, want 1 and the one before", n)
	}
}

// Each of these is refused with its reason, and nothing is issued.
func TestRenewalsThatDoNotHoldAreRefused(t *testing.T) {
	d := newDesk(t, 50*time.Minute, 10*time.Minute)
	d.open()
	stranger := newKey(t)
	replayed := d.signed("b", d.key, pending("0123"))
	if a, ok := d.ask(replayed).(*events.CommandAnswered); !ok || a.Reason != handlers.RefusedSuperseded {
		t.Fatalf("pending what was never issued: %+v", a)
	}
	tampered := d.signed("b", d.key, nil)
	tampered.ID = "another"
	at := func(shift time.Duration) *events.Event {
		return d.signed("b", d.key, func(e *events.Event, _ *events.RenewalRequested) { e.Time = time.Now().Add(shift) })
	}
	unsigned := d.signed("b", d.key, nil)
	unsigned.DSSEMaterial = nil
	for name, c := range map[string]struct {
		request *events.Event
		want    fleet.Reason
	}{
		"signed by a stranger's key":  {d.signed("b", stranger, nil), identity.ProofSignature},
		"not signed":                  {unsigned, identity.ProofMissing},
		"changed on its way":          {tampered, identity.ProofCoreMismatch},
		"a request that was answered": {replayed, handlers.RefusedReplayed},
		"made long ago":               {at(-time.Minute), handlers.RefusedStale},
		"made in the future":          {at(time.Minute), handlers.RefusedStale},
		"of a former life":            {d.signed("b", d.key, func(_ *events.Event, r *events.RenewalRequested) { r.Epoch = 2 }), handlers.RefusedEpoch},
		"for another key":             {d.signed("b", d.key, func(_ *events.Event, r *events.RenewalRequested) { r.CSRPEM = d.csr(stranger) }), handlers.RefusedKey},
		"in another's name": {d.signed("b", d.key, func(e *events.Event, _ *events.RenewalRequested) {
			e.Source = "spiffe://fleet.example/c"
		}), handlers.RefusedSource},
		"of a node that is not desired": {d.signed("stranger", stranger, nil), handlers.RefusedNotDesired},
		"with a request that is none": {d.signed("b", d.key, func(_ *events.Event, r *events.RenewalRequested) {
			r.CSRPEM = "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n"
		}), identity.CSRUnparsable},
	} {
		if a, ok := d.ask(c.request).(*events.CommandAnswered); !ok || a.Reason != c.want || a.Error == "" {
			t.Errorf("%s: %+v, want %s", name, a, c.want)
		}
	}
	if n := d.count(events.TypeCredentialIssued); n != 1 {
		t.Errorf("%d credentials are on the log, want the first only", n)
	}
	if n := testutil.CollectAndCount(d.metrics); n < 9 {
		t.Errorf("only %d kinds of refusals were counted", n)
	}
}

func TestWhatHasEndedOrIsNotDueIsNotRenewed(t *testing.T) {
	refused := func(d *desk, want fleet.Reason) {
		d.Helper()
		if a, ok := d.ask(d.signed("b", d.key, nil)).(*events.CommandAnswered); !ok || a.Reason != want {
			d.Errorf("answered %+v, want %s", a, want)
		}
	}
	t.Run("expired, the margin early", func(t *testing.T) {
		d := newDesk(t, time.Hour, 25*time.Second)
		d.open()
		refused(d, identity.CertificateExpired)
	})
	t.Run("not due", func(t *testing.T) {
		d := newDesk(t, 10*time.Minute, 50*time.Minute)
		d.open()
		refused(d, handlers.RefusedTooEarly)
		_, err := planner.Rotate(d.ctx, d.bus.Log(), fleet.Target{Scope: fleet.ScopeRegion, Region: "oslo"}, 1, planner.Word{Actor: "test", At: time.Now()})
		must(t, err)
		if c, ok := d.ask(d.signed("b", d.key, nil)).(*events.CredentialDelivered); !ok || c.Serial == d.serial {
			t.Errorf("with a rotation: %+v", c)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		d := newDesk(t, 50*time.Minute, 10*time.Minute)
		d.open()
		d.tell(events.TypeCredentialRevoked, "b", &events.CredentialRevoked{Epoch: 1, Serial: d.serial, Reason: "credential_lost"})
		refused(d, handlers.RefusedNoCredential)
	})
	t.Run("of a life that is over", func(t *testing.T) {
		d := newDesk(t, 50*time.Minute, 10*time.Minute)
		d.open()
		d.tell(events.TypeNodeRemoved, "b", &events.NodeRemoved{Epoch: 1, Action: "remove-1"})
		d.tell(events.TypeNodeAppeared, "b", &events.NodeAppeared{Epoch: 2, Session: "t", KeyFingerprint: d.fingerprint(d.key)})
		refused(d, handlers.RefusedEpoch)
	})
}

// A node that asks without end is not served beyond a few requests a second.
func TestAFloodOfRequestsIsCut(t *testing.T) {
	d := newDesk(t, 50*time.Minute, 10*time.Minute)
	d.open()
	served := 0
	began := time.Now()
	for i := range 200 {
		answer, err := d.bus.Request(d.ctx, "b", d.signed("b", newKey(t), func(e *events.Event, _ *events.RenewalRequested) { e.ID = fmt.Sprint("f", i) }))
		must(t, err)
		if a, ok := answer.Data.(*events.CommandAnswered); !ok || a.Reason != handlers.RefusedTooMany {
			served++
		}
	}
	if most := 1 + int(time.Since(began)/(250*time.Millisecond)); served > most {
		t.Errorf("%d requests were looked at in %s", served, time.Since(began))
	}
}
