package explain_test

import (
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// A node that is desired was there, and is lost. Whoever asks is told since when,
// and why nothing is done about it just now.
func Example() {
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	inventory := &fleet.Inventory{RequireSig: true, Regions: []fleet.Region{{Name: "oslo", Nodes: []fleet.Node{{ID: "node-1"}}}}}
	e := explain.New(explain.Subject{Kind: explain.KindNode, Node: "node-1"}, events.DefaultSubjects(),
		func(string) (*fleet.Inventory, error) { return inventory, nil })
	for i, event := range []*events.Event{
		{Type: events.TypeInventoryApplied, Data: &events.InventoryApplied{Digest: "d", Generation: 1, Actor: "kim"}},
		{Type: events.TypeNodeAppeared, Node: "node-1", Data: &events.NodeAppeared{Epoch: 1, KeyFingerprint: "k"}},
		{Type: events.TypeNodeLost, Node: "node-1", Data: &events.NodeLost{Epoch: 1, Reason: "lease_expired"}},
	} {
		record := eventlog.Record{Sequence: uint64(i + 1), Time: noon.Add(time.Duration(i) * time.Second), Event: event}
		if err := e.Follow(record); err != nil {
			fmt.Println(err)
		}
	}
	x := e.Explain(noon.Add(3 * time.Second))
	fmt.Println(x.Verdict)
	fmt.Printf("present: %v since %d (%s)\n", x.Node.Present.Is, x.Node.Present.Since, x.Node.Present.By)
	fmt.Println(x.Pending[0].State, x.Pending[0].Reason, "until", x.Pending[0].Until.Format(time.TimeOnly))
	for _, s := range x.Steps {
		fmt.Println(s.Sequence, s.Type, s.Changed[0])
	}
	// Output:
	// EnrollNode node-1 is held: just_lost: lost a moment ago, not enrolled again until 2026-06-01T12:00:07Z
	// present: false since 3 (node.lost)
	// held just_lost until 12:00:07
	// 1 inventory.applied {desired no in region oslo}
	// 2 node.appeared {observed no yes}
	// 3 node.lost {present yes no}
}
