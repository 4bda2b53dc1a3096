package agent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

var _ agent.Bus = (*eventlog.Bus)(nil)

// TestAgainstTheServer takes one node from its first heartbeat to its removal
// on the real bus, seen from the fleet's side.
func TestAgainstTheServer(t *testing.T) {
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	connect := func() *eventlog.Bus {
		bus, err := eventlog.Connect(ctx, eventlog.Options{URL: server.URL(), Prefix: events.DefaultPrefix, Name: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		return bus
	}
	border := connect()
	defer border.Close()
	if err := border.EnsureStreams(ctx); err != nil {
		t.Fatal(err)
	}
	sightings, err := border.Sightings(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer sightings.Close()
	statements, err := border.Statements(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer statements.Close()

	dir, done, own := t.TempDir(), make(chan error, 1), connect()
	vouches, err := attest.OpenLocal(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := vouches.Equip(node, dir); err != nil {
		t.Fatal(err)
	}
	go func() {
		done <- agent.Run(ctx, agent.Config{Node: node, Dir: dir, Evidence: attest.ProversIn(dir).Prove}, own, zerolog.Nop())
	}()
	if first := sighting(t, ctx, sightings); first.Leaving || first.LeaseSeconds != 15 {
		t.Fatalf("first heartbeat is %+v", first)
	}

	i := newIssuer(t)
	csr := ask(t, ctx, border, events.TypeCertificateRequested, certificateRequest)
	if err := vouches.Verifiers().Verify(ctx, fleet.AttestorMTLSCert, challengeOf(t, csr.CSRPEM), csr.Evidence); err != nil {
		t.Errorf("evidence over the wire: %v", err)
	}
	d := i.deliver(t, csr.CSRPEM, node, time.Hour)
	ask(t, ctx, border, events.TypeCredentialDelivered, d)
	cert, err := identity.VerifyLeaf([]byte(d.CertificatePEM), [][]byte{[]byte(d.BundlePEM)}, domain, node, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	stated, err := statements.Next(ctx)
	if err != nil || len(stated) != 1 || stated[0].Err != nil {
		t.Fatalf("statements: %+v, %v", stated, err)
	}
	if err := proof.VerifyEvent(stated[0].Event, cert.PublicKey); err != nil {
		t.Errorf("proof over the wire: %v", err)
	}
	for sighting(t, ctx, sightings).Serial != d.Serial {
	}

	ask(t, ctx, border, events.TypeNodeStopRequested, &events.NodeStopRequested{Reason: "decommissioned", Forget: true})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for !sighting(t, ctx, sightings).Leaving {
	}
	if exists(dir, agent.KeyFile) {
		t.Error("the key is still there")
	}
	stop := &events.Event{ID: "late", Source: events.SourceExecutor, Type: events.TypeCertificateRequested, Node: node, Time: time.Now(), Data: certificateRequest}
	if _, err := border.Command(ctx, stop); !errors.Is(err, eventlog.ErrNoAgent) {
		t.Errorf("a command to an agent that is gone: %v", err)
	}
}

var certificateRequest = &events.CertificateRequested{
	Epoch: 1, TrustDomain: domain, Attestor: fleet.AttestorMTLSCert, Nonce: "00112233445566778899aabbccddeeff",
}

// challengeOf is the challenge that an answer to certificateRequest was made for.
func challengeOf(t *testing.T, csrPEM string) attest.Challenge {
	t.Helper()
	csr, err := identity.ParseCSR([]byte(csrPEM))
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := identity.Fingerprint(csr.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return attest.Challenge{
		TrustDomain: domain, Node: node, Nonce: certificateRequest.Nonce, CSRPEM: csrPEM, KeyFingerprint: fingerprint,
	}
}

// sighting is the next heartbeat the border sees.
func sighting(t *testing.T, ctx context.Context, s eventlog.Sightings) *events.Heartbeat {
	t.Helper()
	for {
		seen, _, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) == 0 {
			continue
		}
		last := seen[len(seen)-1]
		if last.Err != nil || last.Node != node || last.Heartbeat == nil {
			t.Fatalf("sighting is %+v", last)
		}
		return last.Heartbeat
	}
}

func ask(t *testing.T, ctx context.Context, bus *eventlog.Bus, typ events.Type, data events.Payload) *events.CommandAnswered {
	t.Helper()
	answer, err := bus.Command(ctx, &events.Event{ID: "c", Source: events.SourceExecutor, Type: typ, Node: node, Time: time.Now(), Data: data})
	if err != nil {
		t.Fatalf("%s: %v", typ, err)
	}
	a := answer.Data.(*events.CommandAnswered)
	if a.Error != "" {
		t.Fatalf("%s answered %q", typ, a.Error)
	}
	return a
}
