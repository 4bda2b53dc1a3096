package proof_test

import (
	"encoding/json"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

func TestAProofSurvivesTheWire(t *testing.T) {
	key, e := newKey(t), statement()
	if err := proof.SignEvent(key, e); err != nil {
		t.Fatal(err)
	}
	s := events.DefaultSubjects()
	m, err := events.EncodeTo(s.Credential("n1"), e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := events.Decode(s, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyEvent(got, key.Public()); err != nil {
		t.Errorf("after the wire: %v", err)
	}
	if !json.Valid(got.DSSEMaterial) {
		t.Errorf("envelope is no JSON: %s", got.DSSEMaterial)
	}
}
