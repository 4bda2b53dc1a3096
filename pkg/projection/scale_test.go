package projection_test

import (
	"fmt"
	"testing"
	"time"

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

// BenchmarkRenewals folds what a fleet says that is up and goes on: credentials
// that are renewed when three quarters of their time have passed, again and again.
func BenchmarkRenewals(b *testing.B) {
	for _, nodes := range []int{100, 10_000, 300_000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			s, seq := projection.New(), uint64(0)
			fold := func(at time.Time, all []*events.Event) {
				for _, e := range all {
					seq++
					if _, err := s.Apply(seq, at, e); err != nil {
						b.Fatal(err)
					}
				}
			}
			var appeared []*events.Event
			rounds := make([][]*events.Event, 4)
			for n := range nodes {
				id := fleet.NodeID(fmt.Sprintf("edge/node-%07d", n))
				key := fmt.Sprintf("sha256:%064x", n)
				appeared = append(appeared, &events.Event{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: 1, Session: key[7:39], KeyFingerprint: key}})
				for r := range rounds {
					serial := fmt.Sprintf("%032x", n*len(rounds)+r)
					rounds[r] = append(rounds[r],
						&events.Event{Type: events.TypeCredentialIssued, Node: id, Data: &events.CredentialIssued{
							Epoch: 1, Serial: serial, Nonce: serial, KeyFingerprint: key, Issuer: "sha256:" + issuerDigits}},
						&events.Event{Type: events.TypeCredentialProved, Node: id, Data: &events.CredentialProved{Epoch: 1, Serial: serial, Nonce: serial}})
				}
			}
			at := midnight
			round := func(r int) {
				at = at.Add(18 * time.Hour)
				for _, e := range rounds[r%len(rounds)] {
					if d, ok := e.Data.(*events.CredentialIssued); ok {
						d.NotBefore, d.NotAfter = at, at.Add(24*time.Hour)
					}
				}
				fold(at, rounds[r%len(rounds)])
			}
			fold(at, appeared)
			for r := range 8 {
				round(r)
			}
			began := seq
			b.ReportAllocs()
			for r := 0; b.Loop(); r++ {
				round(r)
			}
			b.ReportMetric(float64(seq-began)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
