package projection_test

import (
	"fmt"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// BenchmarkApply folds the life of a fleet: nodes are enrolled, given a
// credential, lost and removed. It reports events a second.
func BenchmarkApply(b *testing.B) {
	for _, nodes := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			var all []*events.Event
			for n := range nodes {
				all = append(all, life(fmt.Sprintf("region/nyc/node-%d", n))...)
			}
			b.ReportAllocs()
			for b.Loop() {
				s := projection.New()
				for i, e := range all {
					if _, err := s.Apply(uint64(i+1), midnight, e); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(len(all))*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func life(id string) []*events.Event {
	var all []*events.Event
	for _, text := range []string{
		"enroll %[1]s action=e-%[1]s", "appeared %[1]s", "succeeded e-%[1]s", "issue %[1]s action=i-%[1]s", "issued %[1]s",
		"proved %[1]s", "succeeded i-%[1]s", "lost %[1]s", "decommission %[1]s action=d-%[1]s", "removed %[1]s", "succeeded d-%[1]s",
	} {
		all = append(all, parseLine(fmt.Sprintf(text, id)).event())
	}
	return all
}

// BenchmarkRemoval removes a fleet from its front, the worst place, with a look
// at it after every hundredth.
func BenchmarkRemoval(b *testing.B) {
	const nodes = 20_000
	appeared, removed := make([]*events.Event, nodes), make([]*events.Event, nodes)
	for n := range nodes {
		id := fmt.Sprintf("n%d", n)
		appeared[n], removed[n] = parseLine("appeared "+id).event(), parseLine("removed "+id).event()
	}
	for b.Loop() {
		s := projection.New()
		for _, e := range appeared {
			apply(b, s, e)
		}
		for n, e := range removed {
			apply(b, s, e)
			if n%100 == 0 {
				_ = s.Observed()
			}
		}
	}
	b.ReportMetric(float64(nodes)*float64(b.N)/b.Elapsed().Seconds(), "removals/s")
}

// TestTheLedgerDoesNotGrowWithHistory lets many nodes live and die.
func TestTheLedgerDoesNotGrowWithHistory(t *testing.T) {
	s := projection.New()
	for n := range 100 {
		for _, e := range life(fmt.Sprintf("n%d", n)) {
			apply(t, s, e)
		}
	}
	for n := range 100 {
		for _, need := range needs([]fleet.NodeID{fleet.NodeID(fmt.Sprintf("n%d", n))}) {
			if a := s.Ledger().Attempts(need); a != (projection.Attempts{}) {
				t.Fatalf("%v is remembered: %+v", need, a)
			}
		}
	}
	if s.Ledger().Outstanding() != 0 || len(s.Observed().Nodes) != 0 {
		t.Errorf("%d in flight, %d observed", s.Ledger().Outstanding(), len(s.Observed().Nodes))
	}
}
