package eventlog

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// OpenForContract is for the contract suite, which imports this package.
func OpenForContract(t *testing.T) Log {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	return rawLog{b.Log(), b}
}

// OpenWithoutConsumersForContract writes over one connection and reads over another.
func OpenWithoutConsumersForContract(t *testing.T) Log {
	s := testServer(t, t.TempDir(), 0)
	writer, reader := testBus(t, s, Options{}), testBus(t, s, Options{NoConsumers: true})
	return twoLogs{rawLog{writer.Log(), writer}, reader.Log()}
}

// twoLogs are one for writing and one for reading.
type twoLogs struct {
	rawLog
	reader Log
}

func (l twoLogs) Read(ctx context.Context, after uint64, limit int) ([]Record, error) {
	return l.reader.Read(ctx, after, limit)
}

func (l twoLogs) Follow(ctx context.Context, after uint64) (Cursor, error) {
	return l.reader.Follow(ctx, after)
}

func (l twoLogs) Last(ctx context.Context) (uint64, error) { return l.reader.Last(ctx) }

func (l twoLogs) LastOn(ctx context.Context, subject string) (uint64, error) {
	return l.reader.LastOn(ctx, subject)
}

// rawLog can also write what Append refuses to.
type rawLog struct {
	Log
	bus *Bus
}

func (l rawLog) AppendRaw(ctx context.Context, m events.Message) (uint64, error) {
	ack, err := l.bus.js.PublishMsg(ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// AppendRaw is for tests outside of this package.
func AppendRaw(ctx context.Context, b *Bus, m events.Message) error {
	_, err := rawLog{b.Log(), b}.AppendRaw(ctx, m)
	return err
}

func testServer(t *testing.T, dir string, port int) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(natsd.Options{Dir: dir, Port: port, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func testBus(t *testing.T, s *natsd.Server, o Options) *Bus {
	t.Helper()
	if o.URL == "" {
		o.InProcess = s
	}
	b, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func appeared(n int) Entry {
	return Entry{Event: &events.Event{
		ID: events.NewID("test", fmt.Sprint(n)), Source: events.SourcePlanner, Type: events.TypeNodeAppeared,
		Node: "n1", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Data: &events.NodeAppeared{Epoch: 1, Session: fmt.Sprint(n), KeyFingerprint: "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
	}}
}

func mustAppend(t *testing.T, l Log, entries ...Entry) {
	t.Helper()
	if _, err := l.Append(patience(t), entries...); err != nil {
		t.Fatal(err)
	}
}

// mustTake reads n records and checks that they follow one another.
func mustTake(t *testing.T, c Cursor, after uint64, n int) {
	t.Helper()
	for end := after + uint64(n); after < end; {
		records, err := c.Next(patience(t))
		if err != nil {
			t.Fatalf("next behind %d: %v", after, err)
		}
		for _, r := range records {
			if after++; r.Sequence != after {
				t.Fatalf("sequence %d, want %d", r.Sequence, after)
			}
		}
	}
}
