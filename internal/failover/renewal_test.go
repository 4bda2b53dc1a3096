package failover

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// A day of one-hour credentials: each is renewed in time, by two executors that
// share the requests, and a strict fleet never needs an action.
func TestADayOfRenewalsNeedsNoAction(t *testing.T) {
	renewal(t, 30*time.Hour, func(c *crew) {
		c.planner(nil)
		c.executor(nil)
		c.executor(nil)
		since := c.converged(time.Hour, nodes(3)...)
		signs := 0
		watched, cancel := context.WithTimeout(c.ctx, day)
		defer cancel()
		if err := c.view.Wait(watched, func(s *projection.State) bool {
			for _, id := range nodes(3) {
				if !s.CanSign(id) {
					signs++
				}
			}
			return signs > 0
		}); err == nil {
			c.Error("a node could not sign for a moment")
		}
		c.mustNotAct(since)
		n, _ := c.count()
		// Each is due 15 minutes before its end, and drawn from the five behind.
		if got := n[events.TypeCredentialProved]; got < 3*int(day/(55*time.Minute)) || got > 3*(2+int(day/(45*time.Minute))) {
			c.Errorf("%d proofs in %s of three nodes", got, day)
		}
		if n[events.TypeCredentialProved] != n[events.TypeCredentialIssued] {
			c.Errorf("%d credentials were issued, %d proved", n[events.TypeCredentialIssued], n[events.TypeCredentialProved])
		}
		if s := c.status(); !s.Converged {
			c.Errorf("not converged: %s", s.Missing())
		}
	})
}

// While no executor is there the agent goes on asking, and is served when one
// comes in time.
func TestAnIssuerThatIsAwayForAWhileIsWaitedFor(t *testing.T) {
	renewal(t, 3*time.Hour, func(c *crew) {
		c.planner(nil)
		first := c.executor(nil)
		since := c.converged(time.Hour, "n1")
		old := c.serials("n1")[0]
		first.stop()
		time.Sleep(56 * time.Minute) // fake
		c.executor(nil)
		if took := c.await("renew", func(s *projection.State) bool {
			n, _ := s.Node("n1")
			return n.Proved != nil && n.Proved.Serial != old
		}); took > 70*time.Second {
			c.Errorf("renewed %s after the executor came back", took)
		}
		c.mustNotAct(since)
	})
}

// An issuer that is away for too long costs the node its signature, the margin
// early, and nothing else: it is issued a new one by an action.
func TestAMissedRenewalExpiresTheMarginEarlyAndIsIssuedAnew(t *testing.T) {
	renewal(t, 4*time.Hour, func(c *crew) {
		c.planner(nil)
		first := c.executor(nil)
		c.converged(shortLife, "n1")
		old := c.serials("n1")[0]
		var end time.Time
		c.view.Read(func(s *projection.State) { n, _ := s.Node("n1"); end = n.Proved.NotAfter })
		first.stop()
		c.await("expire", func(s *projection.State) bool { return !s.CanSign("n1") })
		if early := time.Until(end); early < 29*time.Second || early > 30*time.Second {
			c.Errorf("expired %s before its end, want the margin of 30s", early)
		}
		time.Sleep(10 * time.Minute) // fake
		c.view.Read(func(s *projection.State) {
			if n, _ := s.Node("n1"); !n.Present {
				c.Error("a node whose credential has ended is not seen")
			}
		})
		c.executor(nil)
		c.awaitRenewed("n1", old)
		c.awaitConverged()
		// And it renews again.
		old = c.serials("n1")[0]
		time.Sleep(shortLife - time.Minute) // fake
		if now := c.serials("n1")[0]; now == old || now == "" {
			c.Errorf("serial is %q when it was due, it was %q", now, old)
		}
	})
}

// An agent that was away for longer than its credential lasts comes up with an
// expired one on disk, is attested and issued anew.
func TestAnAgentComesBackWithAnExpiredCredential(t *testing.T) {
	renewal(t, 4*time.Hour, func(c *crew) {
		c.planner(nil)
		c.executor(nil)
		c.converged(shortLife, "n1")
		old := c.serials("n1")[0]
		c.members[len(c.members)-1].kill()
		time.Sleep(2 * shortLife) // fake
		if _, err := os.Stat(filepath.Join(c.dir, "n1", agent.CredentialFile)); err != nil {
			c.Fatal(err)
		}
		c.agent("n1")
		c.awaitRenewed("n1", old)
		c.awaitConverged()
	})
}

// Whatever message of a renewal gets lost, and however often at first, the
// renewal comes to its end without an action, and one credential is issued.
func TestLostMessagesOfARenewalAreMadeUpFor(t *testing.T) {
	for _, lost := range []events.Type{
		events.TypeRenewalRequested, events.TypeCredentialDelivered, events.TypeCredentialProved, events.TypeCredentialConfirmed,
	} {
		t.Run(string(lost), func(t *testing.T) {
			renewal(t, 3*time.Hour, func(c *crew) {
				c.planner(nil)
				c.executor(nil)
				since := c.converged(shortLife, "n1")
				before, _ := c.count()
				var mu sync.Mutex
				left := 3
				c.between(func(e *events.Event) bool {
					mu.Lock()
					defer mu.Unlock()
					if e.Type == lost && left > 0 {
						left--
						return false
					}
					return true
				})
				time.Sleep(shortLife - 20*time.Second) // fake
				mu.Lock()
				if left != 0 {
					c.Errorf("%d losses are left", left)
				}
				mu.Unlock()
				c.mustNotAct(since)
				after, _ := c.count()
				if got := after[events.TypeCredentialIssued] - before[events.TypeCredentialIssued]; got != 1 {
					c.Errorf("%d credentials were issued for one renewal", got)
				}
				c.mustUse("n1")
			})
		})
	}
}

// A crash of the agent between any two steps leaves it with a credential that
// it can use, and the renewal comes to its end without an action.
func TestAnAgentMayCrashBetweenAnyTwoSteps(t *testing.T) {
	for _, step := range []events.Type{
		events.TypeRenewalRequested, events.TypeCredentialDelivered, events.TypeCredentialProved, events.TypeCredentialConfirmed,
	} {
		t.Run("at "+string(step), func(t *testing.T) {
			renewal(t, 3*time.Hour, func(c *crew) {
				c.planner(nil)
				c.executor(nil)
				since := c.converged(shortLife, "n1")
				old := c.serials("n1")[0]
				first := c.members[len(c.members)-1]
				var mu sync.Mutex
				reached, dead := make(chan struct{}), false
				c.between(func(e *events.Event) bool {
					mu.Lock()
					defer mu.Unlock()
					if e.Type == step && !dead {
						dead = true
						close(reached)
					}
					return !dead // a dead agent neither sends nor takes anything
				})
				select {
				case <-reached:
				case <-c.ctx.Done():
					c.Fatal("no renewal began")
				}
				first.kill()
				c.filter.Store(nil)
				c.agent("n1") // within its lease
				c.awaitRenewed("n1", old)
				time.Sleep(2 * time.Minute) // fake; it asks whether it was confirmed
				c.mustNotAct(since)
				c.mustUse("n1")
			})
		})
	}
}

// A pause stops what planners do, and not what keeps nodes able to sign.
func TestAPausedFleetStillRenews(t *testing.T) {
	renewal(t, 3*time.Hour, func(c *crew) {
		c.planner(nil)
		c.executor(nil)
		since := c.converged(shortLife, "n1")
		old := c.serials("n1")[0]
		_, err := planner.Pause(c.ctx, c.bus.Log(), c.view, fleet.Target{Scope: fleet.ScopeFleet}, planner.Word{Actor: "test", At: time.Now()})
		c.must(err)
		c.awaitRenewed("n1", old)
		c.mustNotAct(since)
	})
}
