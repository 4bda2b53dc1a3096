package planner

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// readings is a log whose records are credentials, and counts who asks for one.
type readings struct{ asked int }

func issuedRecord(seq uint64) eventlog.Record {
	return eventlog.Record{Sequence: seq, Event: &events.Event{Data: &events.CredentialIssued{CertificatePEM: fmt.Sprint("text ", seq)}}}
}

func (r *readings) Read(_ context.Context, after uint64, _ int) ([]eventlog.Record, error) {
	r.asked++
	return []eventlog.Record{issuedRecord(after + 1)}, nil
}

func TestCertificatesThatWaitForProofAreKeptWithinABound(t *testing.T) {
	var c challenges
	log := new(readings)
	for seq := range uint64(challengesKept + 2) {
		c.add(eventlog.Record{Sequence: seq, Event: &events.Event{Data: &events.NodeLeft{}}})
		c.add(issuedRecord(seq + 1))
	}
	for _, want := range []struct {
		sequence uint64
		asked    int
	}{{challengesKept + 2, 0}, {3, 0}, {2, 1}, {1, 2}} {
		text, err := c.text(t.Context(), log, &projection.Credential{Sequence: want.sequence})
		if err != nil || string(text) != fmt.Sprint("text ", want.sequence) || log.asked != want.asked {
			t.Errorf("%d: %q, %v after %d questions, want %d", want.sequence, text, err, log.asked, want.asked)
		}
	}
	if len(c.issued) != challengesKept || len(c.order) != challengesKept {
		t.Errorf("%d are kept, in %d places", len(c.issued), len(c.order))
	}
	if _, err := c.text(t.Context(), log, &projection.Credential{}); !errors.Is(err, eventlog.ErrNotIssued) {
		t.Errorf("a credential from nowhere: %v", err)
	}
}
