package failover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// agentBus is an agent's connection on which messages may get lost.
type agentBus struct {
	*eventlog.Bus
	crew *crew
}

// renewal is a story of hours, with long leases so that there are fewer
// heartbeats in it.
func renewal(t *testing.T, limit time.Duration, tell func(c *crew)) {
	t.Helper()
	storyOf(t, limit, func(c *crew) {
		c.lease = 10 * time.Minute
		tell(c)
	})
}

var errLost = errors.New("lost on its way")

func (b agentBus) lets(e *events.Event) bool {
	lets := b.crew.filter.Load()
	return lets == nil || (*lets)(e)
}

func (c *crew) between(lets func(*events.Event) bool) { c.filter.Store(&lets) }

func (b agentBus) Request(ctx context.Context, id fleet.NodeID, e *events.Event) (*events.Event, error) {
	if !b.lets(e) {
		return nil, errLost
	}
	answer, err := b.Bus.Request(ctx, id, e)
	if err == nil && !b.lets(answer) {
		return nil, errLost
	}
	return answer, err
}

func (b agentBus) State(ctx context.Context, e *events.Event) error {
	if !b.lets(e) {
		return errLost
	}
	return b.Bus.State(ctx, e)
}

func (b agentBus) ServeCommands(ctx context.Context, id fleet.NodeID, handle func(context.Context, *events.Event) *events.Event) (func(), error) {
	return b.Bus.ServeCommands(ctx, id, func(ctx context.Context, e *events.Event) *events.Event {
		if !b.lets(e) {
			return nil // answered as an error, and nothing was done
		}
		return handle(ctx, e)
	})
}

// count is how many events of each type the log holds, and the last sequence.
func (c *crew) count() (n map[events.Type]int, last uint64) {
	c.Helper()
	n = make(map[events.Type]int)
	for {
		records, err := c.bus.Log().Read(c.ctx, last, 1000)
		c.must(err)
		if len(records) == 0 {
			return n, last
		}
		for _, r := range records {
			n[r.Event.Type]++
			last = r.Sequence
		}
	}
}

// mustNotAct checks that nothing was planned, ended or revoked behind a sequence.
func (c *crew) mustNotAct(after uint64) {
	c.Helper()
	for {
		records, err := c.bus.Log().Read(c.ctx, after, 1000)
		c.must(err)
		if len(records) == 0 {
			return
		}
		for _, r := range records {
			after = r.Sequence
			switch r.Event.Type {
			case events.TypeCredentialIssued, events.TypeCredentialProved, events.TypeRotationRequested,
				events.TypeNodeAppeared, events.TypeNodeLeft, events.TypeControlPaused:
			default:
				c.Errorf("%d %s %s: only renewals were to be seen", r.Sequence, r.Event.Type, r.Event.Node)
			}
		}
	}
}

// serials is what each node has proved.
func (c *crew) serials(ids ...fleet.NodeID) (serials []string) {
	c.Helper()
	c.must(c.view.CatchUp(c.ctx))
	c.view.Read(func(s *projection.State) {
		for _, id := range ids {
			serial := ""
			if n, _ := s.Node(id); n.Proved != nil {
				serial = n.Proved.Serial
			}
			serials = append(serials, serial)
		}
	})
	return serials
}

// awaitRenewed waits until a node has proved another credential than that.
func (c *crew) awaitRenewed(id fleet.NodeID, old string) {
	c.Helper()
	c.await("renew "+string(id), func(s *projection.State) bool {
		n, _ := s.Node(id)
		return n.Proved != nil && n.Proved.Serial != old
	})
}

func (c *crew) converged(ids ...fleet.NodeID) (since uint64) {
	c.Helper()
	c.wantFor("1h", ids...)
	for _, id := range ids {
		c.agent(id)
	}
	c.awaitConverged()
	_, since = c.count()
	return since
}

// A day of one-hour credentials: each is renewed in time, by two executors that
// share the requests, and a strict fleet never needs an action.
func TestADayOfRenewalsNeedsNoAction(t *testing.T) {
	renewal(t, 30*time.Hour, func(c *crew) {
		c.planner(nil)
		c.executor(nil)
		c.executor(nil)
		since := c.converged(nodes(3)...)
		signs := 0
		watched, cancel := context.WithTimeout(c.ctx, 24*time.Hour)
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
		if got := n[events.TypeCredentialProved]; got < 3*25 || got > 3*33 {
			c.Errorf("%d proofs in 24 hours of three nodes", got)
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
		since := c.converged("n1")
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
		c.converged("n1")
		old := c.serials("n1")[0]
		var end time.Time
		c.view.Read(func(s *projection.State) { n, _ := s.Node("n1"); end = n.Proved.NotAfter })
		first.stop()
		c.await("expire", func(s *projection.State) bool { return !s.CanSign("n1") })
		if early := end.Sub(time.Now()); early < 29*time.Second || early > 30*time.Second {
			c.Errorf("expired %s before its end, want the margin of 30s", early)
		}
		time.Sleep(time.Hour) // fake
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
		time.Sleep(59 * time.Minute) // fake
		if now := c.serials("n1")[0]; now == old || now == "" {
			c.Errorf("serial is %q after an hour, it was %q", now, old)
		}
	})
}

// An agent that was away for longer than its credential lasts comes up with an
// expired one on disk, is attested and issued anew.
func TestAnAgentComesBackWithAnExpiredCredential(t *testing.T) {
	renewal(t, 4*time.Hour, func(c *crew) {
		c.planner(nil)
		c.executor(nil)
		c.converged("n1")
		old := c.serials("n1")[0]
		c.members[len(c.members)-1].kill()
		time.Sleep(2 * time.Hour) // fake
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
				since := c.converged("n1")
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
				time.Sleep(58 * time.Minute) // fake
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

// mustUse checks that the agent's folder holds what the log says is proved, and
// nothing that is pending.
func (c *crew) mustUse(id fleet.NodeID) {
	c.Helper()
	var want string
	c.view.Read(func(s *projection.State) {
		if n, _ := s.Node(id); n.Proved != nil {
			want = n.Proved.CertificatePEM
		}
	})
	have, err := os.ReadFile(filepath.Join(c.dir, string(id), agent.CertificateFile))
	if err != nil || want == "" || string(have) != want {
		c.Errorf("%s does not use what it has proved (%v)", id, err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, string(id), agent.PendingFile)); !errors.Is(err, os.ErrNotExist) {
		c.Errorf("%s still holds a pending credential: %v", id, err)
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
				since := c.converged("n1")
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
		since := c.converged("n1")
		old := c.serials("n1")[0]
		_, err := planner.Pause(c.ctx, c.bus.Log(), c.view, fleet.Target{Scope: fleet.ScopeFleet}, planner.Word{Actor: "test", At: time.Now()})
		c.must(err)
		c.awaitRenewed("n1", old)
		c.mustNotAct(since)
	})
}

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
		since := c.converged(ids...)
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
		c.converged("n1", "n2")
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
