package handlers_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// inside is a Driver that runs real agents inside the test's own process.
type inside struct {
	t      *testing.T
	ctx    context.Context
	server *natsd.Server
	dir    string
	log    zerolog.Logger
	attest *attest.Local

	mu    sync.Mutex
	stops map[fleet.NodeID]func()
}

func (d *inside) Start(_ context.Context, id fleet.NodeID) (<-chan error, error) {
	bus, err := eventlog.Connect(d.ctx, eventlog.Options{InProcess: d.server, Name: "agent " + string(id)})
	if err != nil {
		return nil, err
	}
	if err := d.attest.Equip(id, d.folder(id)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(d.ctx)
	gone, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		gone <- agent.Run(ctx, agent.Config{
			Node: id, Dir: d.folder(id), Lease: time.Second, Evidence: attest.ProversIn(d.folder(id)).Prove,
		}, bus, d.log)
	}()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stops[id] = func() { cancel(); <-ended }
	return gone, nil
}

func (d *inside) folder(id fleet.NodeID) string { return filepath.Join(d.dir, events.FileName(id)) }

func (d *inside) Remove(_ context.Context, id fleet.NodeID) error {
	d.mu.Lock()
	stop := d.stops[id]
	delete(d.stops, id)
	d.mu.Unlock()
	if stop != nil {
		stop()
	}
	return os.RemoveAll(d.folder(id))
}

func (d *inside) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, stop := range d.stops {
		stop()
	}
}

// longID has the longest subject token and SPIFFE ID that there can be.
var longID = fleet.NodeID("b" + strings.Repeat(":", 127))

var threeNodes = `trust_domain: fleet.example
regions:
  - name: oslo
    intermediate_ca: oslo/ca
    nodes:
      - {id: region/oslo/a.1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: b, attestor: node-plugin, cred_ttl: 1h, renew_before: 15m}
      - {id: "` + string(longID) + `", attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
enforcement: {require_sig: true}
`

const oneNode = `trust_domain: fleet.example
regions:
  - name: oslo
    nodes:
      - {id: b, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
enforcement: {require_sig: false}
`

// A real server, the real planner and real agents: everything that carries an
// action out, end to end.
func TestTheWholeRoundOnTheRealServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	logger := zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.InfoLevel)
	server, err := natsd.Start(natsd.Options{Dir: filepath.Join(t.TempDir(), "js"), Logger: logger})
	must(t, err)
	defer server.Shutdown()
	bus, err := eventlog.Connect(ctx, eventlog.Options{InProcess: server, Name: "test"})
	must(t, err)
	defer bus.Close()
	must(t, bus.EnsureStreams(ctx))

	v, inventories := view.New(bus.Log()), view.NewInventories(bus.GetInventory)
	vouches, err := attest.OpenLocal(t.TempDir(), nil)
	must(t, err)
	driver := &inside{t: t, attest: vouches, ctx: ctx, server: server, dir: t.TempDir(), log: logger, stops: map[fleet.NodeID]func(){}}
	sightings, err := bus.Sightings(ctx)
	must(t, err)
	defer sightings.Close()
	statements, err := bus.Statements(ctx)
	must(t, err)
	defer statements.Close()
	actions, err := bus.Actions(ctx, 4, executor.DefaultAckWait)
	must(t, err)
	defer actions.Close()
	p, err := planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: inventories, Sightings: sightings, Statements: statements,
		Lease: time.Second, Logger: logger,
	})
	must(t, err)

	runCtx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	run := func(f func(context.Context) error) {
		running.Go(func() {
			if err := f(runCtx); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	defer running.Wait()
	defer driver.close()
	defer stop()
	run(v.Run)
	run(p.Run)
	issuers, err := authority.New(authority.Config{
		Log: bus.Log(), View: v, Inventories: inventories, Dir: filepath.Join(t.TempDir(), "ca"), Logger: logger,
	})
	must(t, err)
	set, err := handlers.New(ctx, handlers.Config{
		Log: bus.Log(), View: v, Inventories: inventories, Commands: bus, Driver: driver, Attest: vouches.Verifiers(),
		Issuers: issuers, Logger: logger,
	})
	must(t, err)
	trust, err := bus.Trust(ctx)
	must(t, err)
	defer trust.Close()
	for range 2 { // two executors publish the same
		publisher := &authority.Publisher{Issuers: issuers, Bus: bus}
		run(func(ctx context.Context) error { return publisher.Run(ctx, v) })
	}
	e, err := executor.New(executor.Config{
		Log: bus.Log(), View: v, Inventories: inventories, Actions: actions, Handlers: set, Concurrency: 4, Logger: logger,
	})
	must(t, err)
	run(e.Run)

	apply := func(text string) {
		_, _, err := planner.Apply(ctx, bus, bus.Log(), v, []byte(text), "test", "", time.Now())
		must(t, err)
	}
	apply(threeNodes)
	must(t, v.Wait(ctx, func(s *projection.State) bool { return s.Observed().StrictEnforced }))
	v.Read(func(s *projection.State) {
		if !s.CanSign("region/oslo/a.1") || !s.CanSign("b") || !s.CanSign(longID) {
			t.Error("strict before every node could sign")
		}
	})
	want, report := inventory.Parse([]byte(threeNodes))
	must(t, report.Err())
	told := newTold(t, ctx, trust)
	told.until(func() bool { return told.posture.Strict })
	must(t, v.Wait(ctx, func(s *projection.State) bool { // each has reported the bundle
		return len(s.WithoutRoot(want, s.Issuers()[0].Fingerprint)) == 0
	}))
	var gone []string
	var at uint64
	v.Read(func(s *projection.State) {
		for _, id := range []fleet.NodeID{"region/oslo/a.1", longID} {
			n, _ := s.Node(id)
			gone = append(gone, n.Proved.Serial)
			at = n.Proved.Sequence
		}
	})
	last, err := eventlog.IssuedAt(ctx, bus.Log(), at)
	must(t, err)
	told.intermediate = []byte(last.CertificatePEM[strings.LastIndex(last.CertificatePEM, "-----BEGIN"):])
	apply(oneNode)
	must(t, v.Wait(ctx, func(s *projection.State) bool {
		o := s.Observed()
		return !o.StrictEnforced && len(o.Nodes) == 1 && s.Ledger().Outstanding() == 0
	}))
	told.until(func() bool { return !told.posture.Strict && told.revoked(gone...) })
	for _, id := range []fleet.NodeID{"region/oslo/a.1", longID} {
		if _, err := os.Stat(driver.folder(id)); !os.IsNotExist(err) {
			t.Errorf("the folder of the removed node %q is still there: %v", id, err)
		}
	}
}

// told is what somebody knows who reads the trust stream only.
type told struct {
	t       *testing.T
	ctx     context.Context
	feed    eventlog.Trusts
	posture eventlog.Posture
	roots   [][]byte
	crls    map[string][]byte
	// intermediate of the region, as a chain has it.
	intermediate []byte
}

func newTold(t *testing.T, ctx context.Context, feed eventlog.Trusts) *told {
	return &told{t: t, ctx: ctx, feed: feed, crls: map[string][]byte{}}
}

func (d *told) until(condition func() bool) {
	d.t.Helper()
	for !condition() {
		texts, err := d.feed.Next(d.ctx)
		must(d.t, err)
		for _, text := range texts {
			switch text.Kind {
			case eventlog.TrustBundle:
				d.roots, _, err = identity.ParseSPIFFEBundle("fleet.example", text.Text)
			case eventlog.TrustCRL:
				d.crls[text.KeyID] = text.Text
			case eventlog.TrustPosture:
				before := d.posture.Sequence
				if err = json.Unmarshal(text.Text, &d.posture); d.posture.Sequence < before {
					d.t.Errorf("the posture went back from %d to %d", before, d.posture.Sequence)
				}
			}
			must(d.t, err)
		}
	}
}

// revoked says that the list of the region's intermediate has each serial.
func (d *told) revoked(serials ...string) bool {
	found := 0
	for _, der := range d.crls {
		if _, err := identity.ParseCRL(der, d.intermediate); err != nil {
			continue
		}
		list, err := x509.ParseRevocationList(der)
		must(d.t, err)
		for _, entry := range list.RevokedCertificateEntries {
			if slices.Contains(serials, fmt.Sprintf("%032x", entry.SerialNumber)) {
				found++
			}
		}
	}
	return found == len(serials)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
