package planner_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/proof"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// site is a fleet on a real server, without executors: the tests play them.
type site struct {
	t      *testing.T
	ctx    context.Context
	server *natsd.Server
	bus    *eventlog.Bus
	log    eventlog.Log
	cursor eventlog.Cursor
	queue  []eventlog.Record
}

func newSite(t *testing.T) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	s := &site{t: t, ctx: ctx, server: server}
	s.bus = s.connect()
	if err := s.bus.EnsureStreams(ctx); err != nil {
		t.Fatal(err)
	}
	s.log = s.bus.Log()
	if s.cursor, err = s.log.Follow(ctx, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cursor.Close)
	return s
}

func (s *site) connect() *eventlog.Bus {
	s.t.Helper()
	bus, err := eventlog.Connect(s.ctx, eventlog.Options{InProcess: s.server, Name: s.t.Name()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(bus.Close)
	return bus
}

// planner runs a planner with a view of its own until the test ends.
func (s *site) planner() (*view.View, *planner.Metrics) {
	s.t.Helper()
	safeguards := engine.DefaultSafeguards()
	safeguards.LostWait = 0
	return s.guardedPlanner(safeguards)
}

func (s *site) guardedPlanner(safeguards engine.Safeguards) (*view.View, *planner.Metrics) {
	s.t.Helper()
	return s.planning(s.connect(), safeguards)
}

// plannerThrough is a planner whose connection goes through a door.
func (s *site) plannerThrough(d *door) (*view.View, *planner.Metrics) {
	s.t.Helper()
	bus, err := eventlog.Connect(s.ctx, eventlog.Options{InProcess: d, Name: s.t.Name()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(bus.Close)
	return s.planning(bus, engine.DefaultSafeguards())
}

func (s *site) planning(bus *eventlog.Bus, safeguards engine.Safeguards) (*view.View, *planner.Metrics) {
	s.t.Helper()
	sightings, err := bus.Sightings(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	statements, err := bus.Statements(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	v, metrics := view.New(bus.Log()), planner.NewMetrics()
	p, err := planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: view.NewInventories(bus.GetInventory), Sightings: sightings, Statements: statements,
		Lease: time.Second, Metrics: metrics, Logger: zerolog.Nop(),
		Safeguards: safeguards, Policy: engine.Policy{MaxInFlight: 256, BackoffBase: 20 * time.Millisecond, BackoffCap: time.Second},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 2)
	go func() { done <- v.Run(ctx) }()
	go func() { done <- p.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				s.t.Errorf("planner or view ended with %v", err)
			}
		}
		sightings.Close()
		statements.Close()
	})
	return v, metrics
}

func (s *site) apply(v *view.View, text string) {
	s.t.Helper()
	if _, _, err := planner.Apply(s.ctx, s.bus, s.log, v, []byte(text), "test", "", time.Now()); err != nil {
		s.t.Fatal(err)
	}
}

// next returns the next record of that type, in the order of the log.
func (s *site) next(want events.Type) eventlog.Record {
	s.t.Helper()
	for {
		for len(s.queue) == 0 {
			records, err := s.cursor.Next(s.ctx)
			if err != nil {
				s.t.Fatalf("wait for %s: %v", want, err)
			}
			s.queue = records
		}
		r := s.queue[0]
		s.queue = s.queue[1:]
		if r.Err != nil {
			s.t.Fatalf("record %d: %v", r.Sequence, r.Err)
		}
		if r.Event.Type == want {
			return r
		}
	}
}

func (s *site) append(e *events.Event) {
	s.t.Helper()
	e.ID, e.Source, e.Time = events.NewID(string(e.Type), string(e.Node), time.Now().String()), events.SourceExecutor, time.Now()
	if _, err := s.log.Append(s.ctx, eventlog.Entry{Event: e}); err != nil {
		s.t.Fatal(err)
	}
}

// node is an agent reduced to its key, its lease and its proof.
type node struct {
	id          fleet.NodeID
	key         *ecdsa.PrivateKey
	fingerprint string
}

func (s *site) node(id fleet.NodeID) *node {
	s.t.Helper()
	key, _, err := identity.LoadOrCreateKey(filepath.Join(s.t.TempDir(), "keys", events.Token(id)))
	if err != nil {
		s.t.Fatal(err)
	}
	fingerprint, err := identity.Fingerprint(key.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	return &node{id, key, fingerprint}
}

func (s *site) beat(n *node) {
	s.t.Helper()
	s.beatFor(n, time.Minute)
}

func (s *site) beatFor(n *node, lease time.Duration) {
	s.t.Helper()
	err := s.bus.Beat(s.ctx, n.id, &events.Event{
		ID: events.NewID("beat", string(n.id)), Source: events.NodeSource(n.id), Type: events.TypeNodeHeartbeat, Node: n.id, Time: time.Now(),
		Data: &events.Heartbeat{Session: "session", LeaseSeconds: int(lease.Seconds()), KeyFingerprint: n.fingerprint},
	}, lease)
	if err != nil {
		s.t.Fatal(err)
	}
}

// issue does what an executor's handler does, and returns the challenge.
func (s *site) issue(ca *identity.CA, n *node) *events.CredentialIssued {
	s.t.Helper()
	pem, err := identity.NewCSR(n.key)
	if err != nil {
		s.t.Fatal(err)
	}
	csr, err := identity.ParseCSR(pem)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := ca.Issue(csr, n.id, time.Hour, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	issued := &events.CredentialIssued{
		Epoch: 1, Action: "issue-by-hand", Serial: c.Serial, Nonce: "6e6f6e63656e6f6e63656e6f6e636531", KeyFingerprint: c.KeyFingerprint,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, CertificatePEM: string(c.CertificatePEM),
	}
	s.append(&events.Event{Type: events.TypeCredentialIssued, Node: n.id, Data: issued})
	return issued
}

// prove states as node n, signed by key, that it answers the challenge.
func (s *site) prove(n *node, key *ecdsa.PrivateKey, source string, issued *events.CredentialIssued) {
	s.t.Helper()
	e := &events.Event{
		ID: events.NewID("proof", issued.Serial, source), Source: source, Type: events.TypeCredentialProved, Node: n.id, Time: time.Now(),
		Data: &events.CredentialProved{Epoch: issued.Epoch, Serial: issued.Serial, Nonce: issued.Nonce},
	}
	if err := proof.SignEvent(key, e); err != nil {
		s.t.Fatal(err)
	}
	if err := s.bus.State(s.ctx, e); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) trust(domain string) *identity.CA {
	s.t.Helper()
	ca, _, err := identity.LoadOrCreateCA(filepath.Join(s.t.TempDir(), "ca"), domain, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(&events.Event{Type: events.TypeTrustPublished, Data: &events.TrustPublished{
		TrustDomain: domain, Fingerprint: "sha256:" + events.NewID(domain) + events.NewID(domain), CertificatePEM: string(ca.CertificatePEM()),
	}})
	return ca
}

const twoNodes = `
trust_domain: fleet.example
regions:
  - name: nyc
    nodes:
      - {id: n1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: n2, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
enforcement: {require_sig: true}
`
