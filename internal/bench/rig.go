package bench

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/internal/bench/floor"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// rig is a server in this process that syncs what it acknowledges, the fleet's
// connection to it, and the bare client's.
type rig struct {
	server *natsd.Server
	bus    *eventlog.Bus
	bare   *floor.Bus
}

func (r *run) rig(ctx context.Context) (*rig, error) { return r.rigOn(ctx, 0, 0) }

// listening is a rig whose server others can reach by its URL.
func (r *run) listening(ctx context.Context) (*rig, error) {
	return r.rigOn(ctx, natsd.RandomPort, 0)
}

// listeningFrom is one whose log begins at a sequence.
func (r *run) listeningFrom(ctx context.Context, first uint64) (*rig, error) {
	return r.rigOn(ctx, natsd.RandomPort, first)
}

// rigOn leaves the log to begin where it does if first is 0.
func (r *run) rigOn(ctx context.Context, port int, first uint64) (_ *rig, err error) {
	dir, err := r.folder("server")
	if err != nil {
		return nil, err
	}
	var g rig
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if g.server, err = natsd.Start(natsd.Options{Dir: dir, Port: port}); err != nil {
		return nil, err
	}
	if g.bus, err = eventlog.Connect(ctx, eventlog.Options{InProcess: g.server, Name: "fleetfold bench", Replicas: 1}); err != nil {
		return nil, err
	}
	if g.bare, err = floor.Connect(g.server); err != nil {
		return nil, err
	}
	if first > 0 {
		subjects := g.bus.Subjects()
		if err := g.bare.StreamFrom(ctx, "FLEET", first, subjects.AllEvents(), subjects.AllActions()); err != nil {
			return nil, err
		}
	}
	return &g, g.bus.EnsureStreams(ctx)
}

func (g *rig) close() {
	if g.bare != nil {
		g.bare.Close()
	}
	if g.bus != nil {
		g.bus.Close()
	}
	if g.server != nil {
		g.server.Shutdown()
	}
}

// apply puts an inventory of n nodes in ten regions into force.
func (g *rig) apply(ctx context.Context, n int) error {
	return g.applyText(ctx, inventoryText(n))
}

func (g *rig) applyText(ctx context.Context, text []byte) error {
	digest, err := g.bus.PutInventory(ctx, text)
	if err != nil {
		return err
	}
	_, err = g.bus.Log().Append(ctx, eventlog.Entry{Event: inventoryApplied(digest)})
	return err
}

func inventoryApplied(digest string) *events.Event {
	return &events.Event{
		ID: "inventory-1", Source: events.SourceOperator, Type: events.TypeInventoryApplied, Time: time.Now(),
		Data: &events.InventoryApplied{Digest: digest, Generation: 1, Actor: "bench"},
	}
}

func inventoryText(n int) []byte {
	var b bytes.Buffer
	b.WriteString("trust_domain: bench.example\nquorum:\n  width: 1\nregions:\n")
	for region := range 10 {
		fmt.Fprintf(&b, "  - name: region-%d\n    nodes:\n", region)
		for i := region * n / 10; i < (region+1)*n/10; i++ {
			fmt.Fprintf(&b, "      - {id: %s, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}\n", nodeID(i))
		}
	}
	return b.Bytes()
}

// write appends facts as fast as the log takes them.
func write(ctx context.Context, log eventlog.Log, facts []*events.Event) error {
	for len(facts) > 0 {
		n := min(len(facts), eventlog.MaxBatch)
		entries := make([]eventlog.Entry, n)
		for i, e := range facts[:n] {
			entries[i] = eventlog.Entry{Event: e}
		}
		if _, err := log.Append(ctx, entries...); err != nil {
			return err
		}
		facts = facts[n:]
	}
	return nil
}

// stored is a message of the log as it lies there.
func (g *rig) stored(ctx context.Context, seq uint64) (eventlog.Record, error) {
	records, err := g.bus.Log().Read(ctx, seq-1, 1)
	if err != nil {
		return eventlog.Record{}, err
	}
	if len(records) != 1 || records[0].Err != nil {
		return eventlog.Record{}, fmt.Errorf("sequence %d of the log holds no event", seq)
	}
	return records[0], nil
}
