package eventlog

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// BenchmarkAppend is what storing facts costs, one by one and in the largest
// batches, on one server and on three that keep a copy each. Every server is a
// process of its own here and syncs what it acknowledges.
func BenchmarkAppend(b *testing.B) {
	for _, servers := range []int{1, 3} {
		for _, batch := range []int{1, MaxBatch} {
			b.Run(fmt.Sprintf("servers=%d/batch=%d", servers, batch), func(b *testing.B) {
				log := appendTo(b, servers)
				entries := make([]Entry, batch)
				for i := range entries {
					id := fleet.NodeID(fmt.Sprintf("edge/node-%07d", i))
					entries[i].Event = &events.Event{
						ID: fmt.Sprint("lost-", i), Source: events.SourcePlanner, Type: events.TypeNodeLost, Node: id,
						Time: time.Now(), Data: &events.NodeLost{Epoch: 1},
					}
				}
				n := 0
				for b.Loop() {
					for i := range entries {
						entries[i].Event.ID = fmt.Sprint("lost-", n) // the stream remembers ids
						n++
					}
					if _, err := log.Append(b.Context(), entries...); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

func appendTo(b *testing.B, servers int) Log {
	b.Helper()
	c := newCluster(b)
	if servers == 1 {
		alone := c.options["s1"]
		alone.Cluster = nil
		c.options["s1"], c.names, c.urls = alone, c.names[:1], c.urls[:1]
	}
	c.start(c.names...)
	bus := c.connect(Options{})
	until(b, "make the streams", func(ctx context.Context) error { return bus.EnsureStreams(ctx) })
	return bus.Log()
}
