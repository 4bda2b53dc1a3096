package planner

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// arriving is a log of which the reader has only so much.
type arriving struct {
	eventlog.Log
	upTo uint64
}

func (l arriving) Last(context.Context) (uint64, error) { return l.upTo, nil }

func (l arriving) Follow(ctx context.Context, after uint64) (eventlog.Cursor, error) {
	c, err := l.Log.Follow(ctx, after)
	return &arrivingCursor{c, l.upTo, after}, err
}

type arrivingCursor struct {
	eventlog.Cursor
	upTo, after uint64
}

func (c *arrivingCursor) Next(ctx context.Context) ([]eventlog.Record, error) {
	if c.after >= c.upTo {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	records, err := c.Cursor.Next(ctx)
	records = records[:min(uint64(len(records)), c.upTo-c.after)]
	c.after += uint64(len(records))
	return records, err
}

const oneNode = `
trust_domain: fleet.example
regions:
  - name: nyc
    nodes:
      - {id: n1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: n2, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
`

// A batch is stored as one and may arrive in pieces. Whatever piece of another
// planner's plan a planner has seen, it publishes nothing of that plan again.
func TestAPlanThatHasArrivedInPartIsNotPublishedAgain(t *testing.T) {
	ctx := t.Context()
	log := eventlog.NewMemory(events.DefaultSubjects(), nil)
	digest := inventory.Digest([]byte(oneNode))
	if _, err := log.Append(ctx, eventlog.Entry{Event: &events.Event{
		ID: "1", Source: events.SourceOperator, Type: events.TypeInventoryApplied, Time: dawn,
		Data: &events.InventoryApplied{Digest: digest, Generation: 1, Actor: "test"},
	}}); err != nil {
		t.Fatal(err)
	}
	// Before the plan, its announcement, its first action, all of it.
	for upTo := uint64(1); upTo <= 4; upTo++ {
		published := decideOnce(t, log, upTo)
		want := uint64(4)
		if published != want {
			t.Fatalf("with the log read up to %d, it ends at %d, want %d", upTo, published, want)
		}
	}
}

// decideOnce lets a planner that has read so much of the log decide, and returns
// where the log ends then.
func decideOnce(t *testing.T, log eventlog.Log, upTo uint64) uint64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	v := view.New(arriving{log, upTo})
	p, err := New(Config{
		Log: log, View: v, Inventories: view.NewInventories(func(context.Context, string) ([]byte, error) { return []byte(oneNode), nil }),
		Sightings: noSightings{}, Statements: noStatements{}, Lease: time.Second, Policy: engine.DefaultPolicy(), Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	if err := v.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.step(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	last, err := log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return last
}

type noSightings struct{}

func (noSightings) Next(ctx context.Context) ([]eventlog.Sighting, bool, error) {
	<-ctx.Done()
	return nil, false, ctx.Err()
}

type noStatements struct{}

func (noStatements) Next(ctx context.Context) ([]eventlog.Statement, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
