package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// restartTail is how many records stand behind the snapshot: as many as a planner
// that saves as often as by default leaves at most.
const restartTail = snapshot.DefaultEvery

func restartBenchmark(n int) Benchmark {
	return Benchmark{
		Rows: []Row{
			{
				Name: fmt.Sprint("restart/", n), Unit: "s", Bound: atMost(5, 2),
				Help: fmt.Sprintf("from the start of a planner's process until it is ready: it reads the snapshot of %d nodes and the %d records behind it", n, restartTail),
			},
			{
				Name: fmt.Sprint("restart/", n, "/decided"), Unit: "s",
				Help: "the same until its first decision, for which it reads the inventory, too",
			},
		},
		Slow: n >= 100_000,
		run:  func(ctx context.Context, r *run) error { return r.restart(ctx, n) },
	}
}

func (r *run) restart(ctx context.Context, n int) error {
	n = min(n, r.pick(n, n, 1000))
	g, err := r.listeningFrom(ctx, historyOf(n))
	if err != nil {
		return err
	}
	defer g.close()
	if err := g.saved(ctx, n); err != nil {
		return err
	}
	p, err := r.spawnPlanner(ctx, g.server.URL(), time.Hour)
	if err != nil {
		return err
	}
	defer p.stop()
	r.add(r.rows[0].Name, p.readyIn.Seconds(), n)
	if err := p.decided(ctx, n); err != nil {
		return err
	}
	r.add(r.rows[1].Name, time.Since(p.began).Seconds(), n)
	return nil
}

// recordsOfNode is how many records enrolment makes of one.
const recordsOfNode = 7

// historyOf is how many records a fleet of n has behind it: those of the
// inventory and of each node.
func historyOf(n int) uint64 { return uint64(1 + recordsOfNode*n) }

// saved leaves the server as a planner leaves it that ends: with an inventory, a
// snapshot, and a tail. The log begins with the record that the snapshot ends
// with, for nobody reads what is before it.
func (g *rig) saved(ctx context.Context, n int) error {
	digest, err := g.bus.PutInventory(ctx, inventoryText(n))
	if err != nil {
		return err
	}
	state, last, err := standing(ctx, n, digest, true)
	if err != nil {
		return err
	}
	if err := write(ctx, g.bus.Log(), []*events.Event{last}); err != nil {
		return err
	}
	if err := g.save(ctx, state); err != nil {
		return err
	}
	return write(ctx, g.bus.Log(), renewals(n, restartTail))
}

// save stores the snapshot of a state that ends with the last record of the log.
func (g *rig) save(ctx context.Context, state *projection.State) error {
	record, err := g.stored(ctx, state.Sequence())
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		_, err := snapshot.Encode(w, state.Still(), snapshot.MarkOf(record))
		w.CloseWithError(err)
	}()
	_, err = g.bus.PutSnapshot(ctx, state.Sequence(), r)
	_ = r.Close() // the writer ends where the store took no more
	return err
}

// renewals are facts about nodes that were enrolled: new credentials, one node
// after the other.
func renewals(nodes, n int) (facts []*events.Event) {
	at := time.Now().UTC().Truncate(time.Millisecond)
	step := coprime(nodes)
	for i := 0; len(facts) < n; i++ {
		l := newLife(i*step%nodes, at)
		l.issued = 1 + i/nodes
		facts = append(facts, l.issue(), l.prove())
	}
	return facts[:n]
}
