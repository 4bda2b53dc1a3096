package failover

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// rack fails whatever concerns one node, for as long as it is dark.
type rack struct {
	node fleet.NodeID
	dark atomic.Bool
}

func (r *rack) around(h executor.Handler) executor.Handler {
	return executor.HandlerFunc(func(ctx context.Context, t executor.Task) (executor.Result, error) {
		if r.dark.Load() && t.Flight.Action.ID == r.node {
			return executor.Result{}, executor.Failed("rack_dark", "no power in rack 7")
		}
		return h.Handle(ctx, t)
	})
}

// attempts is how often the enrolment of a node was published.
func (c *crew) attempts(id fleet.NodeID) (a projection.Attempts) {
	c.view.Read(func(s *projection.State) { a = s.Ledger().Attempts(fleet.Action{Type: fleet.EnrollNode, ID: id}) })
	return a
}

func (c *crew) awaitFailures(id fleet.NodeID, n int) {
	c.Helper()
	c.await("fail", func(s *projection.State) bool {
		return s.Ledger().Attempts(fleet.Action{Type: fleet.EnrollNode, ID: id}).Failures >= n
	})
}

const stuckMetric = `# HELP fleetfold_stuck_nodes Nodes whose action keeps failing, by action type; 1 for the fleet itself.
# TYPE fleetfold_stuck_nodes gauge
fleetfold_stuck_nodes{action_type="DecommissionNode"} 0
fleetfold_stuck_nodes{action_type="DisableStrictEnforcement"} 0
fleetfold_stuck_nodes{action_type="EnableStrictEnforcement"} 0
fleetfold_stuck_nodes{action_type="EnrollNode"} NUMBER
fleetfold_stuck_nodes{action_type="IssueCredential"} 0
`

func (m *member) stuckNodes(c *crew, n string) {
	c.Helper()
	want := strings.Replace(stuckMetric, "NUMBER", n, 1)
	if err := testutil.CollectAndCompare(m.metrics, strings.NewReader(want), "fleetfold_stuck_nodes"); err != nil {
		c.Error(err)
	}
}

func TestANodeThatKeepsFailingIsStuckAndHoldsUpNobody(t *testing.T) {
	story(t, func(c *crew) {
		r := &rack{node: "n2"}
		r.dark.Store(true)
		p, e := c.planner(nil), c.executor(r.around)
		ids := nodes(4)
		c.want(ids...)
		for _, id := range ids {
			if id != r.node {
				c.agent(id)
			}
		}
		c.await("the others sign", func(s *projection.State) bool { return s.CanSign("n1") && s.CanSign("n3") && s.CanSign("n4") })
		c.awaitFailures(r.node, 5)
		synctest.Wait()

		s := c.status()
		if s.Converged || s.Observed.StrictEnforced || len(s.Stuck) != 1 {
			t.Fatalf("status %+v", s)
		}
		x := s.Stuck[0]
		if x.Action != (fleet.Action{Type: fleet.EnrollNode, ID: r.node}) || x.Failures < 5 || x.LastError != "rack_dark: no power in rack 7" {
			t.Errorf("stuck is %+v", x)
		}
		if wait := x.NextAttempt.Sub(x.LastOutcome); wait < 16*time.Second || wait > 20*time.Second {
			t.Errorf("the next attempt comes %s after the last, want 16 s and at most a fifth more", wait)
		}
		held := s.Held[len(s.Held)-1]
		if held.Reason != engine.ReasonBackingOff || !strings.HasSuffix(held.Detail, ", after 5 failures in a row: rack_dark: no power in rack 7") {
			t.Errorf("held is %+v", held)
		}
		c.check("logged as stuck", p.logged.count("action is stuck, trying on"), 1)
		p.stuckNodes(c, "1")

		before := c.attempts(r.node)
		p.stop()
		e.kill()
		p = c.planner(nil)
		c.executor(r.around)
		c.awaitFailures(r.node, before.Failures+1)
		c.check("failures after a restart", c.attempts(r.node).Failures, before.Failures+1)
		c.check("attempts after a restart", c.attempts(r.node).Published, before.Published+1)
		synctest.Wait()
		c.check("logged by the new planner", p.logged.count("action is stuck, trying on"), 1)

		r.dark.Store(false)
		c.agent(r.node)
		c.awaitConverged()
		synctest.Wait()
		c.check("stuck in the end", len(c.status().Stuck), 0)
		c.check("logged as recovered", p.logged.count("action is no longer stuck"), 1)
		p.stuckNodes(c, "0")
	})
}

// hang is a handler for one node that heeds nothing until it is released.
type hang struct {
	node    fleet.NodeID
	release chan struct{}
}

func (h *hang) around(real executor.Handler) executor.Handler {
	return executor.HandlerFunc(func(ctx context.Context, t executor.Task) (executor.Result, error) {
		if t.Flight.Action.ID == h.node {
			<-h.release
		}
		return real.Handle(ctx, t)
	})
}

func TestAHandlerThatHangsCostsNobodyMoreThanItsDeadline(t *testing.T) {
	story(t, func(c *crew) {
		h := &hang{node: "n2", release: make(chan struct{})}
		c.planner(nil)
		c.executor(h.around)
		c.want(nodes(3)...)
		for _, id := range nodes(3) {
			if id != h.node {
				c.agent(id)
			}
		}
		others := c.await("the others sign", func(s *projection.State) bool { return s.CanSign("n1") && s.CanSign("n3") })
		if others > time.Second {
			t.Errorf("the others waited %s", others)
		}
		began := time.Now()
		c.awaitFailures(h.node, 1)
		if took := time.Since(began); took > executor.DefaultDeadline+2*time.Second {
			t.Errorf("the hanging action ended after %s", took)
		}
		if got := c.attempts(h.node).LastError; !strings.HasPrefix(got, "deadline_exceeded: ") {
			t.Errorf("it failed with %q", got)
		}
		c.awaitFailures(h.node, stuckAfter)
		if got := c.status().Stuck; len(got) != 1 || !strings.HasPrefix(got[0].LastError, "still_running: ") {
			t.Errorf("stuck %+v", got)
		}
		close(h.release)
		c.agent(h.node)
		c.awaitConverged()
	})
}

// A node may appear in the middle of an enrolment that then fails all the same.
// That is no recovery, and must not be told as one with each attempt.
func TestAnAttemptUnderWayIsNoRecovery(t *testing.T) {
	story(t, func(c *crew) {
		tries, last := atomic.Int64{}, make(chan struct{})
		p := c.planner(nil)
		c.executor(func(real executor.Handler) executor.Handler {
			return executor.HandlerFunc(func(ctx context.Context, t executor.Task) (executor.Result, error) {
				if t.Flight.Action.Type != fleet.EnrollNode {
					return real.Handle(ctx, t)
				}
				if tries.Add(1) > stuckAfter {
					<-last
				}
				return executor.Result{}, executor.Failed("rack_dark", "no power in rack 7")
			})
		})
		c.want("n1")
		c.awaitFailures("n1", stuckAfter)
		c.await("the next attempt", func(s *projection.State) bool { return s.Ledger().Outstanding() > 0 })
		c.agent("n1")
		c.await("appear", func(s *projection.State) bool { n, _ := s.Node("n1"); return n.Present })
		synctest.Wait()
		c.check("told of a recovery", p.logged.count("action is no longer stuck"), 0)
		close(last)
		c.awaitConverged()
		synctest.Wait()
		c.check("told of the recovery", p.logged.count("action is no longer stuck"), 1)
		c.check("told of being stuck", p.logged.count("action is stuck, trying on"), 1)
	})
}

// The flip concerns no node, and can be stuck all the same.
func TestTheFlipCanBeStuck(t *testing.T) {
	story(t, func(c *crew) {
		r := &rack{} // the fleet itself
		r.dark.Store(true)
		p := c.planner(nil)
		c.executor(r.around)
		c.want("n1")
		c.agent("n1")
		flip := fleet.Action{Type: fleet.EnableStrictEnforcement}
		c.await("fail", func(s *projection.State) bool { return s.Ledger().Attempts(flip).Failures == stuckAfter })
		if s := c.status(); len(s.Stuck) != 1 || s.Stuck[0].Action != flip || s.Stuck[0].LastError != "rack_dark: no power in rack 7" {
			t.Errorf("stuck %+v", s.Stuck)
		}
		r.dark.Store(false)
		c.awaitConverged()
		synctest.Wait()
		c.check("logged as recovered", p.logged.count("action is no longer stuck"), 1)
	})
}
