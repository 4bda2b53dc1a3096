package failover

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// neck is the log of planners that are made to decide on the same fold: a plan
// is appended only once every one of them has one to append, the first times.
type neck struct {
	eventlog.Log
	meet chan struct{}
	left int
}

func (n *neck) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	if n.left > 0 && entries[0].Event.Type == events.TypePlanDecided {
		n.left--
		select {
		case n.meet <- struct{}{}:
		case <-n.meet:
		case <-ctx.Done():
		case <-time.After(time.Minute): // the other has nothing to say
		}
	}
	return n.Log.Append(ctx, entries...)
}

// There is no leader. Here both planners act as if each was the only one, and
// are made to publish what they decided on the very same fold.
func TestTwoPlannersThatBothBelieveTheyLead(t *testing.T) {
	story(t, func(c *crew) {
		meet := make(chan struct{})
		through := func(log eventlog.Log) eventlog.Log { return &neck{Log: log, meet: meet, left: 3} }
		first, second := c.planner(through), c.planner(through)
		c.executor(nil)
		c.executor(nil)
		ids := nodes(20)
		c.want(ids...)
		synctest.Wait()
		c.check("active", c.active(), "2 planners, 2 executors")
		for _, id := range ids {
			c.agent(id)
		}
		c.awaitConverged()
		published := c.metric(first, "fleetfold_plans_published_total") + c.metric(second, "fleetfold_plans_published_total")
		lost := c.metric(first, "fleetfold_append_conflicts_total") + c.metric(second, "fleetfold_append_conflicts_total")
		if lost == 0 {
			t.Error("no plan lost its race: the two never decided on one fold")
		}
		t.Logf("%v plans published by both, %v appends lost a race", published, lost)
		c.once(ids)
	})
}

// once demands that each node was enrolled by one action and the flip was one.
func (c *crew) once(ids []fleet.NodeID) {
	c.Helper()
	records, err := c.bus.Log().Read(c.ctx, 0, 100_000)
	c.must(err)
	enrolled, flips := make(map[fleet.NodeID]int), 0
	for _, r := range records {
		if d, ok := r.Event.Data.(*events.ActionRequested); ok {
			switch d.Type {
			case fleet.EnrollNode:
				enrolled[d.ID]++
			case fleet.EnableStrictEnforcement:
				flips++
			}
		}
	}
	for _, id := range ids {
		if enrolled[id] != 1 {
			c.Errorf("%s was to be enrolled %d times", id, enrolled[id])
		}
	}
	c.check("flips", flips, 1)
}

// frozen handlers hold what they were given until they are killed.
func frozen(executor.Handler) executor.Handler {
	return executor.HandlerFunc(func(ctx context.Context, _ executor.Task) (executor.Result, error) {
		<-ctx.Done()
		return executor.Result{}, ctx.Err()
	})
}

// handover is the longest that an action may wait for another executor: its
// executor.DefaultAckWait, and a moment.
const handover = 6 * time.Second

func TestAKilledExecutorDelaysNothingForLong(t *testing.T) {
	story(t, func(c *crew) {
		c.planner(nil)
		victim := c.executor(frozen)
		c.executor(nil)
		ids := nodes(30)
		for _, id := range ids {
			c.agent(id)
		}
		c.want(ids...)
		c.await("give the victim something", func(s *projection.State) bool { return s.Ledger().Outstanding() > 0 })
		synctest.Wait()
		if victim.running.Load() == 0 {
			t.Fatal("the victim has nothing to do")
		}
		busy := victim.running.Load()
		c.check("active", c.active(), "1 planners, 2 executors")
		victim.kill()
		took := c.awaitConverged()
		if took > handover {
			t.Errorf("%d actions of the killed executor delayed the fleet for %s, more than %s", busy, took, handover)
		}
		t.Logf("killed with %d actions in hand; converged %s later", busy, took)
		synctest.Wait()
		c.check("active", c.active(), "1 planners, 1 executors")
	})
}

// Both decide on each change, so nobody has to notice that one is gone.
func TestAKilledPlannerDelaysNothing(t *testing.T) {
	story(t, func(c *crew) {
		victim, heir := c.planner(nil), c.planner(nil)
		c.executor(nil)
		ids := nodes(30)
		for _, id := range ids[:15] {
			c.agent(id)
		}
		c.want(ids...)
		c.await("half of the work", func(s *projection.State) bool { return s.CanSign("n1") })
		victim.kill()
		for _, id := range ids[15:] {
			c.agent(id)
		}
		if took := c.awaitConverged(); took > time.Second {
			t.Errorf("converged %s after a planner was killed", took)
		}
		synctest.Wait()
		c.check("active", c.active(), "1 planners, 1 executors")
		heir.kill()
		c.check("active", c.active(), "0 planners, 1 executors")
	})
}
