package audit

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// A plan has to name the partition that was in force on its basis, be of a shard
// of it, and, unless it is the rest's, be held by the safeguards of the rest.
func TestAPlanOfAShardIsHeldAgainstItsPartition(t *testing.T) {
	st := projection.New()
	divided := &events.Event{Type: events.TypePartitionApplied, Data: &events.PartitionApplied{Partition: fleet.Partition{
		Rest: "east", Shards: []fleet.Shard{{Name: "east"}, {Name: "west", Regions: []string{"nyc"}}},
	}}}
	if _, err := st.Apply(1, time.Unix(1, 0), divided); err != nil {
		t.Fatal(err)
	}
	lenient := decide.Recorded(decide.Safeguards(st))
	lenient.RemovalMin++
	usual := decide.Recorded(decide.Safeguards(st))
	for name, c := range map[string]struct {
		plan events.PlanDecided
		want []What
		goOn bool
	}{
		"as it must be":            {events.PlanDecided{Shard: "west", Partition: 1, Safeguards: usual}, nil, true},
		"the rest by its own":      {events.PlanDecided{Shard: "east", Partition: 1, Safeguards: lenient}, nil, true},
		"by safeguards of its own": {events.PlanDecided{Shard: "west", Partition: 1, Safeguards: lenient}, []What{WhatThresholds}, true},
		"under another partition":  {events.PlanDecided{Shard: "west", Partition: 7, Safeguards: usual}, []What{WhatPartition}, false},
		"of a shard that is none":  {events.PlanDecided{Shard: "south", Partition: 1, Safeguards: usual}, []What{WhatPartition}, false},
		"as if the fleet were one": {events.PlanDecided{Safeguards: usual}, []What{WhatPartition}, false},
	} {
		a := new(audit)
		goOn := a.underPartition(st, Decision{9, &c.plan})
		var found []What
		for _, d := range a.report.Mismatches {
			found = append(found, d.What)
		}
		if goOn != c.goOn || len(found) != len(c.want) || len(found) > 0 && found[0] != c.want[0] {
			t.Errorf("%s: found %v, goes on %v; want %v, %v", name, a.report.Mismatches, goOn, c.want, c.goOn)
		}
	}
}
