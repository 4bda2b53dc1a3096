package eventlog

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Statements reads what nodes state about their credentials. Next is for one
// goroutine; Close may be called from another.
type Statements interface {
	// Next waits and returns what has come, at least one, in the order the
	// server stored it: first all that is retained, then each new one. A
	// statement may come again. Its signature has not been verified.
	Next(ctx context.Context) ([]Statement, error)
	Close()
}

// State publishes what a node states about its credential, and waits until it
// is stored. That says nothing of whether the border will accept it.
func (b *Bus) State(ctx context.Context, statement *events.Event) error {
	if statement.Type != events.TypeCredentialProved {
		return fmt.Errorf("publish statement: %s is none", statement.Type)
	}
	m, err := events.EncodeTo(b.subjects.Credential(statement.Node), statement)
	if err != nil {
		return fmt.Errorf("encode statement: %w", err)
	}
	if err := b.toIngest(ctx, m); err != nil {
		return fmt.Errorf("publish statement of %s: %w", statement.Node, err)
	}
	return nil
}

// Statements starts with all that is retained.
func (b *Bus) Statements(ctx context.Context) (Statements, error) {
	t, err := b.newTail(ctx, b.ingestStream(), b.subjects.AllCredentials(), jetstream.DeliverAllPolicy)
	if err != nil {
		return nil, err
	}
	return &statements{tail: t}, nil
}

type statements struct{ tail *tail }

func (s *statements) Close() { s.tail.Close() }

func (s *statements) Next(ctx context.Context) ([]Statement, error) {
	for {
		got, _, err := s.tail.Next(ctx)
		if err != nil {
			return nil, err
		}
		if len(got) == 0 {
			continue
		}
		heard := make([]Statement, len(got))
		for i, m := range got {
			heard[i] = statementOf(s.tail.bus.subjects, m)
		}
		return heard, nil
	}
}

func statementOf(subjects events.Subjects, m *nats.Msg) (s Statement) {
	if s.Node, s.Err = subjects.CredentialNode(m.Subject); s.Err != nil {
		s.Node = ""
		return s
	}
	s.Event, s.Err = admit(subjects, m, events.TypeCredentialProved)
	return s
}
