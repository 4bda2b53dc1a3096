package planner_test

import (
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// A fact that the fold passes over, such as one of an older generation, moves
// the subject on all the same. Fenced on the inventory in force instead, no
// inventory could be applied behind it for ever.
func TestApplyIsNotStoppedByAnInventoryThatCountsForNothing(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	s.apply(v, twoNodes)
	s.append(&events.Event{
		Type: events.TypeInventoryApplied,
		Data: &events.InventoryApplied{Digest: "sha256:" + strings.Repeat("0", 64), Generation: 1, Actor: "old"},
	})
	s.apply(v, strings.ReplaceAll(twoNodes, "n2", "n3"))
	var last eventlog.Record
	for range 3 {
		last = s.next(events.TypeInventoryApplied)
	}
	if d := last.Event.Data.(*events.InventoryApplied); d.Generation != 2 || d.Actor != "test" {
		t.Errorf("the newest inventory.applied is %+v", d)
	}
}
