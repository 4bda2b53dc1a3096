package eventlog

import (
	"errors"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

func TestACredentialIsReadWhereItWasIssued(t *testing.T) {
	subjects, err := events.NewSubjects(events.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	log := NewMemory(subjects, nil)
	const issuedKey = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	issued := &events.Event{
		ID: "i", Source: events.SourceExecutor, Type: events.TypeCredentialIssued, Node: "n1", Time: time.Now(),
		Data: &events.CredentialIssued{Epoch: 1, Action: "a", Serial: "ab", Nonce: "cd", KeyFingerprint: issuedKey, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), CertificatePEM: "text"},
	}
	mustAppend(t, log, appeared(1))
	mustAppend(t, log, Entry{Event: issued})
	if d, err := IssuedAt(t.Context(), log, 2); err != nil || d.CertificatePEM != "text" {
		t.Errorf("read %+v, %v", d, err)
	}
	for _, elsewhere := range []uint64{0, 1, 3} {
		if d, err := IssuedAt(t.Context(), log, elsewhere); !errors.Is(err, ErrNotIssued) {
			t.Errorf("at %d: read %+v, %v", elsewhere, d, err)
		}
	}
}
