package planner

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func TestThePaceKeepsAFleetBelowItsRate(t *testing.T) {
	for _, c := range []struct{ nodes, rate, want int }{
		{0, 50_000, 0}, {1000, 50_000, 0}, {45_000, 50_000, 0},
		{100_000, 50_000, 3}, {1_000_000, 50_000, 23}, {10_000_000, 50_000, 223},
		{1_000_000_000, 1, events.MaxLeaseSeconds / events.PaceLeases},
	} {
		got := paceFor(c.nodes, c.rate)
		if got != c.want {
			t.Errorf("%d nodes at %d a second: %d s, want %d s", c.nodes, c.rate, got, c.want)
		}
		if most := float64(c.nodes) / (float64(max(got, 1)) * (1 - paceSlack)); c.want < events.MaxLeaseSeconds/events.PaceLeases && most > float64(c.rate)+1 {
			t.Errorf("%d nodes each %d s, shortened by a tenth, are %.0f a second", c.nodes, got, most)
		}
	}
}

func TestThePaceGrowsAtOnceAndFallsStepByStep(t *testing.T) {
	var c pacer
	at := dawn
	step := func(does string, want, expect int) {
		t.Helper()
		got := c.next(want, at)
		if got != expect {
			t.Errorf("%s: %d s, want %d s", does, got, expect)
		}
		if got < c.now.IntervalSeconds {
			c.fell = at
			if 2*got < c.now.IntervalSeconds && got > 0 && c.now.IntervalSeconds > paceFloor {
				t.Errorf("%s: it fell from %d to %d, by more than half", does, c.now.IntervalSeconds, got)
			}
		}
		c.now.IntervalSeconds = got
	}
	step("a fleet of some size", 23, 23)
	step("it grows", 60, 60)
	step("it is a little smaller", 50, 60)
	step("it is much smaller", 5, 30)
	step("at once again", 5, 30)
	at = at.Add(90 * time.Second)
	step("a lease later", 5, 15)
	at = at.Add(time.Hour)
	step("later", 5, 8)
	at = at.Add(time.Hour)
	step("there", 5, 5)
	at = at.Add(time.Hour)
	step("hardly anybody", 0, 3)
	at = at.Add(time.Hour)
	step("on", 0, 2)
	at = at.Add(time.Hour)
	step("nothing is asked for", 0, 0)
}

// Whoever slowed down must not be taken for lost by who listens as before.
func TestASensorListensForTheLongerLease(t *testing.T) {
	s := newSensor(lease)
	s.listenFor(3 * lease)
	if s.listenFor(lease); s.lease != 3*lease {
		t.Errorf("it listens for %s", s.lease)
	}
}

// Nodes that are cut off together are lost within the time between two heartbeats,
// which is that of the slowest pace that any of them may still have.
func TestTheWaitAfterALossFollowsThePace(t *testing.T) {
	for _, c := range []struct {
		asked time.Duration
		paces []int
		want  time.Duration
	}{
		{5 * time.Second, nil, 5 * time.Second},
		{5 * time.Second, []int{3}, 5 * time.Second},
		{5 * time.Second, []int{23}, 23 * time.Second},
		{5 * time.Second, []int{23, 60, 0}, time.Minute},
		{2 * time.Minute, []int{23}, 2 * time.Minute},
		{0, []int{23}, 0},
	} {
		p := &Planner{Config: Config{Lease: lease, Safeguards: engine.DefaultSafeguards()}, sensor: newSensor(lease)}
		p.Safeguards.LostWait = c.asked
		for _, seconds := range c.paces {
			p.listenFor(events.Pace{IntervalSeconds: seconds}.Lease())
		}
		if g := p.given(projection.New(), dawn); g.Safeguards.LostWait != c.want || p.Safeguards.LostWait != c.asked {
			t.Errorf("asked for %s at paces of %v s: it waits for %s, want %s", c.asked, c.paces, g.Safeguards.LostWait, c.want)
		} else if err := g.Safeguards.Validate(); err != nil {
			t.Error(err)
		}
	}
}
