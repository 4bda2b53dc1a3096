package eventlog

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func proved(id fleet.NodeID, nonce string) *events.Event {
	return &events.Event{
		ID: events.NewID(string(id), nonce), Source: "spiffe://example.org/" + string(id),
		Type: events.TypeCredentialProved, Node: id, Time: time.Now().UTC(),
		DSSEMaterial: []byte("{}"),
		Data:         &events.CredentialProved{Epoch: 1, Serial: "0a1b", Nonce: nonce},
	}
}

func hear(t *testing.T, s Statements, n int) []Statement {
	t.Helper()
	var all []Statement
	for len(all) < n {
		heard, err := s.Next(within(t))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, heard...)
	}
	return all
}

func TestStatementsAreReadFromTheBeginningAndLive(t *testing.T) {
	b := busOn(t)
	first, second := proved("n1", "aa"), proved("n2", "bb")
	if err := b.State(within(t), first); err != nil {
		t.Fatal(err)
	}
	s, err := b.Statements(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := hear(t, s, 1)[0]; got.Err != nil || got.Event.Node != "n1" || string(got.Event.DSSEMaterial) != "{}" {
		t.Fatalf("first statement is %+v", got)
	}
	beat(t, b, "n1", "a", lease) // on the same stream, and no statement
	if err := b.State(within(t), second); err != nil {
		t.Fatal(err)
	}
	if got := hear(t, s, 1)[0]; got.Err != nil || got.Event.ID != second.ID {
		t.Fatalf("second statement is %+v", got)
	}
}

func TestAStatementThatDoesNotFitStopsNobody(t *testing.T) {
	b := busOn(t)
	s, err := b.Statements(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	publish(t, b, b.subjects.Credential("n1"), nil, "garbage")
	publish(t, b, b.subjects.Credential("n1"), nats.Header{"Status": {"404"}}, "")
	foreign, err := events.EncodeTo(b.subjects.Credential("n1"), proved("n2", "aa"))
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, foreign.Subject, foreign.Header, string(foreign.Data))
	if err := b.State(within(t), proved("n1", "aa")); err != nil {
		t.Fatal(err)
	}
	heard := hear(t, s, 4)
	for _, h := range heard[:3] {
		var refusal *events.Refusal
		if h.Event != nil || !errors.As(h.Err, &refusal) {
			t.Errorf("statement is %+v, not refused", h)
		}
	}
	if heard[3].Err != nil {
		t.Errorf("statement after them is refused: %v", heard[3].Err)
	}
}

func TestStateRefusesOtherEvents(t *testing.T) {
	if err := busOn(t).State(within(t), heartbeat("n1", "a", false)); err == nil {
		t.Error("a heartbeat was published as a statement")
	}
}
