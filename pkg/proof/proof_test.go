package proof_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func statement() *events.Event {
	return &events.Event{
		ID:     "p1",
		Source: "spiffe://example.org/n1",
		Type:   events.TypeCredentialProved,
		Node:   "n1",
		Time:   time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("CET", 3600)),
		Data:   &events.CredentialProved{Epoch: 1, Serial: "0a", Nonce: "n"},
	}
}

func TestASignedEventVerifiesWithItsKeyOnly(t *testing.T) {
	key, e := newKey(t), statement()
	if err := proof.SignEvent(key, e); err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyEvent(e, key.Public()); err != nil {
		t.Errorf("own key: %v", err)
	}
	if err := proof.VerifyEvent(e, newKey(t).Public()); fleet.ReasonOf(err) != identity.ProofSignature {
		t.Errorf("a stranger's key: %v", err)
	}
	if e.Time.Nanosecond() != 0 || e.Time.Location() != time.UTC {
		t.Errorf("time %v claims more than the proof covers", e.Time)
	}
}

func TestEveryChangeBreaksTheProof(t *testing.T) {
	key := newKey(t)
	for name, change := range map[string]func(*events.Event){
		"id":      func(e *events.Event) { e.ID += "x" },
		"source":  func(e *events.Event) { e.Source += "x" },
		"type":    func(e *events.Event) { e.Type = events.TypeCredentialExpired },
		"subject": func(e *events.Event) { e.Node = fleet.NodeID("n2") },
		"time":    func(e *events.Event) { e.Time = e.Time.Add(time.Second) },
		"data":    func(e *events.Event) { e.Body = append([]byte(" "), e.Body...) },
		"no data": func(e *events.Event) { e.Body = nil },
	} {
		e := statement()
		if err := proof.SignEvent(key, e); err != nil {
			t.Fatal(err)
		}
		change(e)
		if err := proof.VerifyEvent(e, key.Public()); fleet.ReasonOf(err) != identity.ProofCoreMismatch {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	e := statement()
	if err := proof.VerifyEvent(e, key.Public()); fleet.ReasonOf(err) != identity.ProofMissing {
		t.Errorf("unsigned: %v", err)
	}
}

func TestBytesThatAreThereAreSignedAsTheyAre(t *testing.T) {
	key, e := newKey(t), statement()
	e.Body = []byte(`{ "epoch": 1, "serial": "0a", "nonce": "n" }`)
	want := string(e.Body)
	if err := proof.SignEvent(key, e); err != nil {
		t.Fatal(err)
	}
	if string(e.Body) != want {
		t.Errorf("body became %s", e.Body)
	}
	if err := proof.VerifyEvent(e, key.Public()); err != nil {
		t.Error(err)
	}
}

func Example() {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	e := &events.Event{
		ID: "p1", Source: "spiffe://example.org/n1", Type: events.TypeCredentialProved, Node: "n1",
		Time: time.Unix(0, 0), Data: &events.CredentialProved{Epoch: 1, Serial: "0a", Nonce: "n"},
	}
	fmt.Println(proof.SignEvent(key, e), proof.VerifyEvent(e, key.Public()))
	e.Node = "n2"
	fmt.Println(proof.VerifyEvent(e, key.Public()) != nil)
	// Output:
	// <nil> <nil>
	// true
}
