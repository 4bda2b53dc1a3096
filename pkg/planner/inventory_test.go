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

// A person is asked about what they were shown. Whoever applies over another
// inventory than that changes nothing.
func TestApplyOverReplacesExactlyWhatWasSeen(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	s.apply(v, twoNodes)
	var seen planner.Seen
	v.Read(func(st *projection.State) {
		seen = planner.Seen{Generation: st.Inventory().Generation, Last: st.LastInventory()}
	})
	mine, theirs := strings.ReplaceAll(twoNodes, "n2", "n3"), strings.ReplaceAll(twoNodes, "n2", "n4")
	word := planner.Word{Actor: "ada", Note: "why", At: time.Now()}
	s.apply(v, theirs)
	if _, err := planner.ApplyOver(s.ctx, s.bus, s.log, seen, []byte(mine), word); !errors.Is(err, eventlog.ErrConflict) {
		t.Fatalf("applied over what was not seen: %v", err)
	}
	if _, err := planner.ApplyOver(s.ctx, s.bus, s.log, seen, []byte("regions: {"), word); err == nil || errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("a text that is no inventory: %v", err)
	}
	v.Read(func(st *projection.State) {
		if have := st.Inventory(); have.Generation != 2 {
			t.Errorf("in force is %+v", have)
		}
		seen = planner.Seen{Generation: st.Inventory().Generation, Last: st.LastInventory()}
	})
	at, err := planner.ApplyOver(s.ctx, s.bus, s.log, seen, []byte(mine), word)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.CatchUp(s.ctx); err != nil {
		t.Fatal(err)
	}
	v.Read(func(st *projection.State) {
		if have := st.Inventory(); have.Generation != 3 || have.Sequence != at || have.Actor != "ada" || have.Note != "why" {
			t.Errorf("in force is %+v, applied at %d", have, at)
		}
	})
}

// An edit counts once: what was in force after it, and was followed by another,
// is passed over by whoever sees the edit later.
func TestAppliedSinceLooksBehindAGeneration(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	second, third := strings.ReplaceAll(twoNodes, "n2", "n3"), strings.ReplaceAll(twoNodes, "n2", "n4")
	for _, text := range []string{twoNodes, second, third, twoNodes} {
		s.apply(v, text)
	}
	last, err := s.log.LastOn(s.ctx, s.log.Subjects().Inventory())
	if err != nil {
		t.Fatal(err)
	}
	if applied, err := planner.AppliedSince(s.ctx, s.bus, s.log.Subjects(), []byte(third+"# new\n"), 0, last+1); err == nil {
		t.Errorf("a replica that is behind was believed: %v", applied)
	}
	for _, c := range []struct {
		text  string
		since uint64
		want  bool
	}{
		{twoNodes, 0, true}, {twoNodes, 3, true}, {twoNodes, 4, false},
		{second, 1, true}, {second, 2, false}, {third, 2, true}, {third + "# new\n", 0, false},
	} {
		got, err := planner.AppliedSince(s.ctx, s.bus, s.log.Subjects(), []byte(c.text), c.since, last)
		if err != nil || got != c.want {
			t.Errorf("since %d: %v, %v, want %v:\n%s", c.since, got, err, c.want, c.text)
		}
	}
}
