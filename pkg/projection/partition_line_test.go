package projection_test

import (
	"strings"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// plan is as in "plan p1 actions=2 shard=a partition=4 generation=2".
func (l line) plan() *events.Event {
	d := &events.PlanDecided{Plan: fleet.PlanID(l.who), Shard: l.text("shard", "")}
	if l.text("actions", "") != "" {
		d.Actions = make([]events.ActionRequested, l.number("actions"))
	}
	if l.text("partition", "") != "" {
		d.Partition = l.number("partition")
	}
	if l.text("generation", "") != "" {
		d.Generation = l.number("generation")
	}
	if l.text("removal_min", "") != "" {
		d.Safeguards.RemovalMin = int(l.number("removal_min"))
	}
	return &events.Event{Type: events.TypePlanDecided, Data: d}
}

// partition is as in "partition a=ams,fra b=nyc rest=a"; without any it is none.
func (l line) partition() (p fleet.Partition) {
	p.Rest = l.text("rest", "")
	for _, name := range []string{"a", "b", "c"} {
		if regions, named := l.with[name]; named {
			p.Shards = append(p.Shards, fleet.Shard{Name: name, Regions: strings.FieldsFunc(regions, func(r rune) bool { return r == ',' })})
		}
	}
	return p
}
