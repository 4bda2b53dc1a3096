package handlers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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
	"github.com/fleetfold/fleetfold/pkg/refusals"
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
func (d *desk) follow(bus *eventlog.Bus) *view.View { return d.run(view.New(bus.Log())) }

func (d *desk) run(v *view.View) *view.View {
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
	v := view.New(bus.Log())
	recorder, err := refusals.New(refusals.Config{Log: bus.Log(), View: v, Source: events.SourceExecutor})
	must(d.T, err)
	v.OnRecord(func(r eventlog.Record, _ projection.Change) { recorder.OnRecord(r) })
	c.Log, c.View, c.Commands, c.Refusals = bus.Log(), d.run(v), bus, recorder
	r, err := handlers.NewRenewer(c, bus, d.metrics)
	must(d.T, err)
	ctx, cancel := context.WithCancel(d.ctx)
	var running sync.WaitGroup
	running.Go(func() { recorder.Run(ctx) })
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
