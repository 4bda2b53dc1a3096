package planner_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
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

// A planner that was stopped with an old text in its hands finds a newer one in
// force, or loses its race to it. It must not bring the old one back.
func TestAnOldCopyOfAFileIsNotAppliedOverItsNewText(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	s.apply(v, twoNodes)
	old, newer := strings.ReplaceAll(twoNodes, "n2", "n3"), strings.ReplaceAll(twoNodes, "n2", "n4")
	edited := errors.New("edited")
	asked := 0
	current := func() error {
		if asked++; asked > 1 {
			return edited
		}
		s.apply(v, newer) // behind the back of whoever was just told that old is current
		return nil
	}
	_, applied, err := planner.ApplyWhile(s.ctx, current, s.bus, s.log, v, []byte(old), "test", "", time.Now())
	if applied || !errors.Is(err, edited) || asked != 2 {
		t.Errorf("applied %v, %v, asked %d times", applied, err, asked)
	}
	v.Read(func(st *projection.State) {
		if have := st.Inventory().Generation; have != 2 {
			t.Errorf("generation %d is in force, want the newer text, 2", have)
		}
	})
}
