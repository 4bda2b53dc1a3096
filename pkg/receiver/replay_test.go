package receiver

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMemoryIsBoundedAndNothingIsTakenTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		const window = 10 * time.Second
		m, now := newMemory(limit, window), t0
		type key struct{ source, id string }
		taken := make(map[key]bool)
		for range rapid.IntRange(1, 200).Draw(t, "posts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
			k := key{fmt.Sprint("n", rapid.IntRange(1, 3).Draw(t, "source")), fmt.Sprint(rapid.IntRange(1, 60).Draw(t, "id"))}
			// A post has one time for ever, and one that is too old is refused before.
			at := t0.Add(time.Duration(len(k.id)*7+int(k.id[0])) * time.Second)
			if now.Sub(at) > window {
				continue
			}
			switch reason := m.note(k.source, k.id, at, now); reason {
			case "":
				if taken[k] {
					t.Fatalf("%v was taken twice", k)
				}
				taken[k] = true
			case Replayed:
				if !taken[k] {
					t.Fatalf("%v is called a replay and was never taken", k)
				}
			}
			held := 0
			for _, s := range m.senders {
				held += len(s.ids)
			}
			if held != m.total || held > limit {
				t.Fatalf("%d posts are known, %d counted, at most %d allowed", held, m.total, limit)
			}
		}
	})
}

// Whoever floods the memory shortens only their own time.
func TestAFloodHitsItsSenderOnly(t *testing.T) {
	m := newMemory(100, time.Minute)
	m.note("quiet", "first", t0, t0)
	for i := range 1000 {
		at := t0.Add(time.Duration(i) * 100 * time.Millisecond)
		if reason := m.note("loud", fmt.Sprint(i), at, at); reason != "" && reason != Stale {
			t.Fatalf("post %d: %s", i, reason)
		}
		if i == 500 {
			if reason := m.note("quiet", "first", t0, at); reason != Replayed {
				t.Errorf("the quiet one's post was forgotten: %q", reason)
			}
			if reason := m.note("quiet", "second", t0, at); reason != "" {
				t.Errorf("the quiet one is refused: %q", reason)
			}
			if reason := m.note("loud", "0", t0, at); reason != Stale {
				t.Errorf("the loud one's forgotten post is %q", reason)
			}
		}
	}
}

func TestMemoryIsGivenBack(t *testing.T) {
	m := newMemory(100, time.Minute)
	for i := range 50 {
		m.note(fmt.Sprint(i), "x", t0, t0)
	}
	later := t0.Add(2 * time.Minute)
	m.note("n", "x", later, later)
	if len(m.senders) != 1 || m.total != 1 {
		t.Errorf("%d senders and %d posts are kept", len(m.senders), m.total)
	}
}
