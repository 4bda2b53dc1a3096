package authority

import (
	"context"
	"fmt"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// sink counts what is published.
type sink struct{ texts, bytes, largest int }

func (s *sink) PublishTrust(_ context.Context, t eventlog.TrustText) (bool, error) {
	s.texts, s.bytes, s.largest = s.texts+1, s.bytes+len(t.Text), max(s.largest, len(t.Text))
	return true, nil
}

// BenchmarkRegions tells of a million nodes, and then of one more.
func BenchmarkRegions(b *testing.B) {
	inv := &fleet.Inventory{}
	for r := range 16 {
		region := fleet.Region{Name: fmt.Sprint("region ", r), IntermediateCA: "x"}
		for n := range 1_000_000 / 16 {
			region.Nodes = append(region.Nodes, fleet.Node{ID: fleet.NodeID(fmt.Sprintf("node-%d-%d", r, n))})
		}
		inv.Regions = append(inv.Regions, region)
	}
	for b.Loop() {
		all, more := new(sink), new(sink)
		p := &Publisher{Bus: all}
		home, _ := homes(inv)
		r := regions{sequence: 1}
		if err := p.publishShards(b.Context(), &r, home); err != nil {
			b.Fatal(err)
		}
		home["one more"] = identity.RegionLabel("region 0")
		p.Bus = more
		if err := p.publishShards(b.Context(), &r, home); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(all.bytes)/1e6, "MB")
		b.ReportMetric(float64(all.largest)/1e3, "kB/largest")
		b.ReportMetric(float64(more.texts), "texts/change")
		b.ReportMetric(float64(more.bytes)/1e3, "kB/change")
	}
}
