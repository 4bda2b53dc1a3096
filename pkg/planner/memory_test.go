package planner

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// BenchmarkSightings reports what a planner keeps of each node it sees, besides
// the fold: the newest heartbeat, whose texts came with it.
func BenchmarkSightings(b *testing.B) {
	const nodes = 1_000_000
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := newSensor(time.Minute)
		for n := range nodes {
			s.see(eventlog.Sighting{Node: fleet.NodeID(fmt.Sprintf("edge/node-%07d", n)), Time: at, Heartbeat: &events.Heartbeat{
				Session: fmt.Sprintf("%026d", n), LeaseSeconds: 30, KeyFingerprint: fmt.Sprintf("sha256:%064x", n),
				Serial: fmt.Sprintf("%032x", n), Bundle: strings.Clone("sha256:9f2c5b0a41d37e6688c19f2c5b0a41d37e6688c19f2c5b0a41d37e6688c1aabb"),
			}})
			s.agenda.take()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/nodes, "B/node")
		runtime.KeepAlive(s)
	}
}
