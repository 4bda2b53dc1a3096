package refusals

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

var forged = kind{"credential", "n1", "proof_signature"}

// tell says what is due, as the planner does.
func tell(r *tally, now time.Time) *events.MessageRefused {
	d := r.due(now)
	if d != nil {
		r.said(d, now)
	}
	return d
}

func TestTheFirstRefusalIsToldAtOnceAndTheRestOnceAMinute(t *testing.T) {
	var r tally
	if d := tell(&r, noon); d != nil || !r.next().IsZero() {
		t.Fatalf("with nothing to say, says %+v, next at %s", d, r.next())
	}
	r.add(forged, "first", 1, noon)
	if d := tell(&r, noon); d == nil || d.Count != 1 || d.Node != "n1" || d.Reason != "proof_signature" || d.Detail != "first" {
		t.Fatalf("of the first, says %+v", d)
	}
	for i := range 1000 {
		r.add(forged, fmt.Sprint("again ", i), 1, after(time.Duration(i)*10*time.Millisecond))
	}
	if d := tell(&r, after(sameKind-1)); d != nil {
		t.Errorf("within the minute, says %+v", d)
	}
	if !r.next().Equal(after(sameKind)) {
		t.Errorf("next at %s", r.next())
	}
	if d := tell(&r, after(sameKind)); d == nil || d.Count != 1000 || d.Detail != "again 999" {
		t.Errorf("after the minute, says %+v", d)
	}
	if d := tell(&r, after(time.Hour)); d != nil {
		t.Errorf("with nothing new, says %+v", d)
	}
	r.add(forged, "later", 1, after(time.Hour))
	if d := tell(&r, after(time.Hour)); d == nil || d.Count != 1 {
		t.Errorf("after a quiet hour, says %+v", d)
	}
}

func TestRefusalsOfManyKindsComeOneASecondAndInOrder(t *testing.T) {
	var r tally
	for i := range 3 {
		r.add(kind{"presence", fleet.NodeID(fmt.Sprint("n", 3-i)), "schema"}, "", 1, after(time.Duration(i)))
	}
	at := after(3)
	for _, want := range []fleet.NodeID{"n3", "n2", "n1"} {
		d := tell(&r, at)
		if d == nil || d.Node != want {
			t.Fatalf("at %s says %+v, want node %s", at, d, want)
		}
		if again := tell(&r, at.Add(pace-1)); again != nil {
			t.Fatalf("within the second, says %+v", again)
		}
		at = at.Add(pace)
	}
}

func TestKindsWithoutRoomAreSummedUp(t *testing.T) {
	var r tally
	for i := range maxKinds + 50 {
		r.add(kind{"presence", fleet.NodeID(fmt.Sprint("n", i)), "schema"}, "x", 1, noon)
	}
	told, others := 0, uint64(0)
	for at := noon; ; at = at.Add(pace) {
		d := tell(&r, at)
		if d == nil {
			break
		}
		if told++; d.Channel == events.RefusedOthers {
			others = d.Count
		}
	}
	if told != maxKinds+1 || others != 50 || len(r.kinds) != maxKinds+1 {
		t.Errorf("%d facts of %d kinds, %d others", told, len(r.kinds), others)
	}
	// Once they have been quiet there is room for others.
	r.add(forged, "x", 1, after(time.Hour))
	if d := tell(&r, after(time.Hour)); d == nil || d.Node != "n1" || d.Reason != forged.reason || len(r.kinds) != 2 {
		t.Errorf("after an hour says %+v, of %d kinds", d, len(r.kinds))
	}
}

func TestWhatAnotherPlannerSaidIsNotSaidAgain(t *testing.T) {
	var r tally
	r.add(forged, "x", 1, noon)
	r.add(forged, "x", 1, noon)
	r.heard(&events.MessageRefused{Channel: forged.channel, Node: forged.node, Reason: forged.reason, Count: 1}, true, noon)
	if d := tell(&r, noon); d != nil {
		t.Errorf("within the minute of another's, says %+v", d)
	}
	if d := tell(&r, after(sameKind)); d == nil || d.Count != 1 {
		t.Errorf("of two, of which another said one, says %+v", d)
	}
	r.heard(&events.MessageRefused{Channel: "presence", Node: "n9", Reason: "schema", Count: 7}, true, after(sameKind))
	if d := tell(&r, after(time.Hour)); d != nil {
		t.Errorf("of what only another was refused, says %+v", d)
	}
}

// Executors are handed different requests: what one tells of is not what the
// other was refused, and of a kind there is still one fact a minute.
func TestWhatAnotherWasRefusedBesidesIsToldToo(t *testing.T) {
	var r tally
	r.add(forged, "x", 1, noon)
	r.heard(&events.MessageRefused{Channel: forged.channel, Node: forged.node, Reason: forged.reason, Count: 1}, false, noon)
	if d := tell(&r, after(sameKind-1)); d != nil {
		t.Errorf("within the minute of another's, says %+v", d)
	}
	if d := tell(&r, after(sameKind)); d == nil || d.Count != 1 {
		t.Errorf("a minute later, says %+v", d)
	}
}

// One who always has something to tell does not keep others from it.
func TestAfterAnothersFactThereIsAMomentOfSilence(t *testing.T) {
	var r tally
	r.add(forged, "x", 1, noon)
	r.heard(&events.MessageRefused{Channel: "presence", Node: "n9", Reason: "schema", Count: 7}, true, noon)
	if d := tell(&r, after(otherPace-1)); d != nil {
		t.Errorf("says %+v at once", d)
	}
	if d := tell(&r, after(otherPace)); d == nil || d.Node != "n1" {
		t.Errorf("then says %+v", d)
	}
}

func TestAFactThatCouldNotBeToldIsKept(t *testing.T) {
	var r tally
	r.add(forged, "x", 1, noon)
	if r.due(noon) == nil {
		t.Fatal("nothing is due")
	}
	r.unsaid(noon)
	if r.due(noon) != nil || !r.wake(noon).Equal(after(pace)) {
		t.Errorf("tries again at %s", r.wake(noon))
	}
	if d := tell(&r, after(pace)); d == nil || d.Count != 1 {
		t.Errorf("a pace later, says %+v", d)
	}
}

// Who cannot look when something is due must not spin until it can.
func TestWhatIsOverdueWaitsAPace(t *testing.T) {
	var r tally
	r.add(forged, "x", 1, noon)
	if got := r.wake(after(time.Hour)); !got.Equal(after(time.Hour + pace)) {
		t.Errorf("wakes at %s", got)
	}
}

// Whatever is refused and whenever: no two facts within a second, none of a kind
// twice within a minute, few kinds in memory, and every refusal counted once.
func TestRefusalsKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r tally
		var added, told uint64
		now, spoke, said := noon, time.Time{}, map[kind]time.Time{}
		speak := func() {
			d := tell(&r, now)
			if d == nil {
				return
			}
			told += d.Count
			if !spoke.IsZero() && now.Sub(spoke) < pace {
				t.Fatalf("two facts within %s", now.Sub(spoke))
			}
			if last, again := said[kindOf(d)]; again && now.Sub(last) < sameKind {
				t.Fatalf("%+v twice within %s", kindOf(d), now.Sub(last))
			}
			spoke, said[kindOf(d)] = now, now
		}
		t.Repeat(map[string]func(*rapid.T){
			"refuse": func(t *rapid.T) {
				first := rapid.IntRange(0, 600).Draw(t, "first")
				for i := range rapid.IntRange(1, 120).Draw(t, "many") {
					r.add(kind{"presence", fleet.NodeID(fmt.Sprint(first + i)), "schema"}, "x", 1, now)
					added++
				}
				speak()
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 90_000).Draw(t, "milliseconds")) * time.Millisecond)
				speak()
			},
			"": func(t *rapid.T) {
				if len(r.kinds) > maxKinds+1 {
					t.Fatalf("%d kinds in memory", len(r.kinds))
				}
			},
		})
		for next := r.next(); !next.IsZero(); next = r.next() {
			if next.After(now) {
				now = next
			}
			speak()
		}
		if told != added {
			t.Fatalf("%d refusals, told of %d", added, told)
		}
	})
}
