package planner

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Within a lease it is known of each node when it last happened, and what is older
// than two leases is let go of with the next that happens.
func TestLatelyRemembersForALease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const lease = 10 * time.Second
		l, want := lately{lease: lease}, map[fleet.NodeID]time.Time{}
		now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
		id := rapid.SampledFrom([]fleet.NodeID{"a", "b", "c"})
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 8).Draw(t, "seconds")) * time.Second)
			switch who := id.Draw(t, "node"); rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				l.forget(who)
				delete(want, who)
			default:
				l.note(who, now)
				want[who] = now
			}
			for _, who := range []fleet.NodeID{"a", "b", "c"} {
				got := l.last(who)
				if now.Before(want[who].Add(lease)) && !got.Equal(want[who]) {
					t.Fatalf("%s: %v, want %v", who, got, want[who])
				}
				if !got.IsZero() && !got.Equal(want[who]) {
					t.Fatalf("%s: %v, which was never so last", who, got)
				}
			}
			for who, at := range l.before {
				if now.Sub(at) > 2*lease && now.Sub(l.since) == 0 {
					t.Fatalf("%s of %v is still kept at %v", who, at, now)
				}
			}
		}
	})
}
