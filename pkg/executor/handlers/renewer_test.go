package handlers_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

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

// A request comes to one executor, which tells of it on the log.
func TestARefusedRequestIsAFact(t *testing.T) {
	d := newDesk(t, 50*time.Minute, 10*time.Minute)
	cursor, err := d.bus.Log().Follow(d.ctx, 0)
	must(t, err)
	defer cursor.Close()
	d.open() // by requests of a stranger
	for {
		records, err := cursor.Next(d.ctx)
		must(t, err)
		for _, r := range records {
			if m, ok := r.Event.Data.(*events.MessageRefused); ok {
				if m.Channel != "request" || m.Node != "stranger" || m.Reason != handlers.RefusedNotDesired || m.Count == 0 || r.Event.Source != events.SourceExecutor {
					t.Errorf("the log says %+v of %s", m, r.Event.Source)
				}
				return
			}
		}
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
