package explain_test

import (
	"fmt"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// BenchmarkRead follows a log of a hundred thousand records about ten thousand
// nodes, decoded already; a record is what an op costs.
func BenchmarkRead(b *testing.B) {
	const nodes, records = 10_000, 100_000
	f := file{}
	f.applied(text, 1)
	for i := range records {
		id := fleet.NodeID(fmt.Sprintf("n%d", i%nodes))
		if i/nodes%2 == 0 {
			f.tell(id, &events.NodeAppeared{Epoch: 1, Session: "s"}, events.TypeNodeAppeared)
		} else {
			f.tell(id, &events.NodeLost{Epoch: 1}, events.TypeNodeLost)
		}
	}
	for _, s := range []explain.Subject{n1, strict} {
		b.Run(string(s.Kind), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N/records + 1 {
				if _, err := explain.Read(b.Context(), f, events.DefaultSubjects(), s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
