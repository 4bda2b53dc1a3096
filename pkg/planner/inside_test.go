package planner

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
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

// A plan whose actions never came, as no honest planner leaves one, is the end
// of the log: nobody would ever decide again if it counted as still arriving.
func TestAPlanThatIsCutShortKeepsNobodyFromDeciding(t *testing.T) {
	log := eventlog.NewMemory(events.DefaultSubjects(), nil)
	add(t, log, events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: inventory.Digest([]byte(oneNode)), Generation: 1, Actor: "test"})
	hollow := &events.PlanDecided{Plan: "plan-hollow", Basis: 1, InventoryDigest: "x", Generation: 1, RuleVersion: "1", DecidedAt: dawn}
	for range 1000 {
		hollow.Actions = append(hollow.Actions, events.ActionRequested{Type: fleet.EnrollNode, ID: "n1", Action: "a", Attempt: 1, Epoch: 1, Generation: 1})
	}
	add(t, log, events.TypePlanDecided, "", hollow)
	if end := decideOnce(t, log, 2); end != 5 {
		t.Errorf("the log ends at %d, want 5: a plan for two nodes behind the hollow one", end)
	}
}

func add(t *testing.T, log eventlog.Log, typ events.Type, node fleet.NodeID, data events.Payload) {
	t.Helper()
	_, err := log.Append(t.Context(), eventlog.Entry{Event: &events.Event{
		ID: "x", Source: events.SourcePlanner, Type: typ, Node: node, Time: dawn, Data: data,
	}})
	if err != nil {
		t.Fatal(err)
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
