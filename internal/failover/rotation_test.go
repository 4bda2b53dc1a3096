package failover

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// rotated lists when each node was issued a credential behind a sequence.
func (c *crew) rotated(after uint64) (at []time.Time) {
	c.Helper()
	records, err := c.bus.Log().Read(c.ctx, after, 1000)
	c.must(err)
	for _, r := range records {
		if r.Event.Type == events.TypeCredentialIssued {
			at = append(at, r.Time)
		}
	}
	return at
}

// A rotation keeps to its rate whoever drives it, goes on where it was when an
// executor is replaced, and needs no action.
func TestARotationKeepsToItsRate(t *testing.T) {
	renewal(t, 3*time.Hour, func(c *crew) {
		c.planner(nil)
		first := c.executor(nil)
		second := c.executor(nil)
		ids := nodes(6)
		since := c.converged(time.Hour, ids...)
		seq, err := planner.Rotate(c.ctx, c.bus.Log(), fleet.Target{Scope: fleet.ScopeFleet}, 0.1, planner.Word{Actor: "test", At: time.Now()})
		c.must(err)
		left := func(n int) func(*projection.State) bool {
			return func(s *projection.State) bool {
				due := 0
				for _, id := range ids {
					if _, is := s.RotationDue(id, "oslo"); is {
						due++
					}
				}
				return s.Sequence() >= seq && due <= n
			}
		}
		c.await("rotate two", left(4))
		if shown := c.status().Rotations; len(shown) != 1 || shown[0].Remaining != 4 {
			c.Errorf("status shows %+v", shown)
		}
		first.kill()
		second.kill()
		c.executor(nil)
		c.await("rotate the rest", left(0))
		at := c.rotated(seq)
		for i := 1; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap < 9*time.Second || gap > 30*time.Second {
				c.Errorf("%s between renewals %d and %d, want 10s", gap, i, i+1)
			}
		}
		if len(at) != len(ids) {
			c.Errorf("%d credentials were issued for %d nodes", len(at), len(ids))
		}
		if shown := c.status().Rotations; len(shown) != 0 {
			c.Errorf("when it is done status shows %+v", shown)
		}
		c.mustNotAct(since)
		for _, id := range ids {
			c.mustUse(id)
		}
	})
}

// Of a rotation of one region the others take no notice; who is paused waits
// until it is resumed, and who is away until it comes back.
func TestARotationWaitsForWhoIsPausedOrAway(t *testing.T) {
	renewal(t, 2*time.Hour, func(c *crew) {
		c.planner(nil)
		c.executor(nil)
		c.converged(time.Hour, "n1", "n2")
		away := c.members[len(c.members)-1]
		before := c.serials("n1", "n2")
		word := planner.Word{Actor: "test", At: time.Now()}
		n1 := fleet.Target{Scope: fleet.ScopeNode, ID: "n1"}
		_, err := planner.Pause(c.ctx, c.bus.Log(), c.view, n1, word)
		c.must(err)
		away.stop()
		c.await("leave", func(s *projection.State) bool { n, _ := s.Node("n2"); return !n.Present })
		for _, t := range []fleet.Target{{Scope: fleet.ScopeRegion, Region: "nowhere"}, {Scope: fleet.ScopeRegion, Region: "oslo"}} {
			_, err = planner.Rotate(c.ctx, c.bus.Log(), t, 100, word)
			c.must(err)
		}
		time.Sleep(2 * time.Minute) // fake
		if now := c.serials("n1", "n2"); now[0] != before[0] || now[1] != before[1] {
			c.Errorf("serials are %q, were %q: one was rotated that is paused or away", now, before)
		}
		_, err = planner.Resume(c.ctx, c.bus.Log(), c.view, n1, word)
		c.must(err)
		c.awaitRenewed("n1", before[0])
		c.agent("n2")
		c.awaitRenewed("n2", before[1])
	})
}

// A node that was rotated a moment ago is rotated again if that is asked for.
func TestTwoRotationsInARow(t *testing.T) {
	renewal(t, time.Hour, func(c *crew) {
		c.planner(nil)
		c.executor(nil)
		c.converged(shortLife, "n1")
		for range 3 {
			before := c.serials("n1")[0]
			_, err := planner.Rotate(c.ctx, c.bus.Log(), fleet.Target{Scope: fleet.ScopeNode, ID: "n1"}, 100, planner.Word{Actor: "test", At: time.Now()})
			c.must(err)
			began := time.Now()
			c.awaitRenewed("n1", before)
			if took := time.Since(began); took > 10*time.Second {
				c.Errorf("renewed after %s", took)
			}
		}
	})
}
