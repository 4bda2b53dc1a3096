package executor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

var (
	everything = fleet.Target{Scope: fleet.ScopeFleet}
	three      = []fleet.NodeID{"a", "b", "c"}
	relax      = fleet.Action{Type: fleet.DisableStrictEnforcement}
)

// keep lets nodes appear and sign: nothing is removed while nobody signs.
func (s *shop) keep(ids ...fleet.NodeID) {
	s.Helper()
	for _, id := range ids {
		s.appear(id)
		s.sign(id)
	}
}

func (s *shop) lose(ids ...fleet.NodeID) {
	s.Helper()
	for _, id := range ids {
		s.append(fact(events.TypeNodeLost, id, &events.NodeLost{Epoch: 1, Reason: "lease_expired"}))
	}
}

func (s *shop) pause(t fleet.Target) {
	s.Helper()
	s.append(fact(events.TypeControlPaused, t.ID, &events.ControlPaused{Target: t, Actor: "kim"}))
}

func (s *shop) approve() {
	s.Helper()
	last, err := s.log.Last(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	s.append(fact(events.TypePlanApproved, "", &events.PlanApproved{Approval: "removal-x", Basis: last, Actor: "kim"}))
}

// ghosts are nodes that appear and that no inventory of a story names.
func (s *shop) ghosts(n int) (removals []fleet.Action) {
	s.Helper()
	for i := range n {
		id := fleet.NodeID(fmt.Sprint("ghost-", i))
		s.appear(id)
		removals = append(removals, remove(id))
	}
	return removals
}

// Each of these was published while nothing held it, and had not begun when
// something did.
func TestWhatIsHeldMeanwhileIsRefusedOnTheLog(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*shop)
		action fleet.Action
		then   func(*shop)
		want   string
	}{
		"enrol, fleet paused":  {func(s *shop) { s.want(false, "a") }, enroll("a"), func(s *shop) { s.pause(everything) }, "paused: the fleet"},
		"enrol, region paused": {func(s *shop) { s.want(false, "a") }, enroll("a"), func(s *shop) { s.pause(fleet.Target{Scope: fleet.ScopeRegion, Region: "r"}) }, "paused: region r"},
		"enrol, node paused":   {func(s *shop) { s.want(false, "a") }, enroll("a"), func(s *shop) { s.pause(fleet.Target{Scope: fleet.ScopeNode, ID: "a"}) }, "paused: node a"},
		"issue, fleet paused":  {func(s *shop) { s.want(false, "a"); s.appear("a") }, issue("a"), func(s *shop) { s.pause(everything) }, "paused: the fleet"},
		"enforce, fleet paused": {func(s *shop) { s.want(true, "a"); s.keep("a") }, enable,
			func(s *shop) { s.pause(everything) }, "paused: the fleet"},
		"remove, node paused": {func(s *shop) { s.want(false, "a"); s.keep("a"); s.appear("old") }, remove("old"),
			func(s *shop) { s.pause(fleet.Target{Scope: fleet.ScopeNode, ID: "old"}) }, "paused: node old"},
		"remove, most of the fleet is lost": {func(s *shop) { s.want(false, three...); s.keep(three...); s.appear("old") }, remove("old"),
			func(s *shop) { s.lose(three...) }, "blind_fleet: 3 of 3"},
		"enrol the lost, most of the fleet is lost": {func(s *shop) { s.want(false, three...); s.keep(three...); s.lose("a") }, enroll("a"),
			func(s *shop) { s.lose("b", "c") }, "blind_fleet: 3 of 3"},
		"remove, nobody signs any more": {func(s *shop) { s.want(false, "a"); s.keep("a"); s.appear("old") }, remove("old"),
			func(s *shop) { s.lose("a") }, "quorum: 0 desired nodes"},
		"remove, another inventory ends the approval": {func(s *shop) { s.want(false, "a"); s.keep("a"); s.ghosts(6); s.approve() }, remove("ghost-0"),
			func(s *shop) { s.want(false, "a", "new") }, "removal_budget: 6 of 7"},
		"remove, others are to be removed as well": {func(s *shop) { s.want(false, "a"); s.keep("a"); s.appear("old") }, remove("old"),
			func(s *shop) { s.ghosts(5) }, "removal_budget: 6 of 7"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				c.before(s)
				s.publish("p1", c.action)
				c.then(s)
				s.handle(c.action.Type, func(context.Context, executor.Task) (executor.Result, error) {
					t.Error("handler ran")
					return executor.Result{}, nil
				})
				s.open()
				got := strings.Join(s.outcomes(), ", ")
				if !strings.HasPrefix(got, "p1-1 refused: "+c.want) {
					t.Errorf("got %q, want it refused for %q", got, c.want)
				}
				s.check("reason", s.ended[0].Reason, executor.ReasonHeld)
				s.state(func(st *projection.State) { s.check("in flight", st.Ledger().Outstanding(), 0) })
			})
		})
	}
}

func TestWhatNoSafeguardHoldsInFlightRuns(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*shop)
		action fleet.Action
		then   func(*shop)
	}{
		"relaxing, fleet paused": {func(s *shop) {
			s.want(false)
			s.append(fact(events.TypeEnforcementEnabled, "", &events.EnforcementEnabled{Generation: 1, Action: "before"}))
		}, relax, func(s *shop) { s.pause(everything) }},
		"enrolling one never seen, most of the fleet is lost": {func(s *shop) { s.want(false, append(slices.Clip(three), "new")...); s.keep(three...) },
			enroll("new"), func(s *shop) { s.lose(three...) }},
		"issuing, most of the fleet is lost": {func(s *shop) { s.want(false, append(slices.Clip(three), "new")...); s.keep(three...); s.appear("new") },
			issue("new"), func(s *shop) { s.lose(three...) }},
		"enrolling, another node paused": {func(s *shop) { s.want(false, "a", "b") }, enroll("a"),
			func(s *shop) { s.pause(fleet.Target{Scope: fleet.ScopeNode, ID: "b"}) }},
		// Only a planner's clock says when these end.
		"enrolling one just lost": {func(s *shop) { s.want(false, "a"); s.keep("a"); s.lose("a") }, enroll("a"), func(*shop) {}},
		"enrolling one that flaps": {func(s *shop) { s.want(false, "a") }, enroll("a"), func(s *shop) {
			for range 5 {
				s.appear("a")
				s.lose("a")
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				c.before(s)
				s.publish("p1", c.action)
				c.then(s)
				s.handle(c.action.Type, func(context.Context, executor.Task) (executor.Result, error) { return executor.Result{}, nil })
				s.open()
				s.check("outcomes", s.outcomes(), "[p1-1 succeeded]")
			})
		})
	}
}

func TestAPauseDoesNotStopAHandlerThatRuns(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.config.Concurrency = 1
		s.want(false, "a", "b")
		s.publish("p1", enroll("a"), enroll("b"))
		s.open()
		s.pause(everything)
		s.check("the first goes on", s.outcomes(), "[]")
		r.end("p1-1", nil)
		got := s.outcomes()
		if len(got) != 2 || got[0] != "p1-1 succeeded" || !strings.HasPrefix(got[1], "p1-2 refused: paused") {
			t.Errorf("outcomes: %q", got)
		}
		s.check("runs", r.order(), "[p1-1]")
	})
}

// removing is a handler that removes once first returns.
func (s *shop) removing(first func(id fleet.NodeID)) executor.HandlerFunc {
	return func(_ context.Context, task executor.Task) (executor.Result, error) {
		id := task.Flight.Action.ID
		first(id)
		gone := task.Fact(time.Now(), events.TypeNodeRemoved, &events.NodeRemoved{Epoch: 1, Action: task.Flight.ID})
		return executor.Result{Closing: []eventlog.Entry{{Event: gone}}}, nil
	}
}

// While a removal is carried out fewer and fewer nodes are observed, until all
// but one of them, or of the budget, would be gone.
func TestARemovalThatWasFreeIsCarriedOutToItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		ghosts   int
		approved bool
	}{
		"five of six nodes":           {5, false},
		"nine of ten, with approval":  {9, true},
		"one of two, and then nobody": {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				s.want(false, "a")
				s.keep("a")
				removals := s.ghosts(c.ghosts)
				if c.approved {
					s.approve()
				}
				s.publish("p1", removals...)
				s.config.Concurrency = 1
				s.handle(fleet.DecommissionNode, s.removing(func(fleet.NodeID) {}))
				s.open()
				got := s.outcomes()
				s.check("outcomes", len(got), c.ghosts)
				for i := range got {
					s.check("outcome", got[i], fmt.Sprintf("p1-%d succeeded", i+1))
				}
				s.state(func(st *projection.State) { s.check("observed", len(st.Observed().Nodes), 1) })
			})
		})
	}
}

func TestAnApprovalThatEndsHalfWayStopsTheRest(t *testing.T) {
	story(t, func(s *shop) {
		s.want(false, "a")
		s.keep("a")
		removals := s.ghosts(9)
		s.approve()
		s.publish("p1", removals...)
		s.config.Concurrency = 1
		applied := make(chan struct{})
		s.handle(fleet.DecommissionNode, s.removing(func(id fleet.NodeID) {
			if id == "ghost-2" {
				<-applied
			}
		}))
		s.open()
		s.want(false, "a", "new")
		close(applied)
		synctest.Wait()
		got := s.outcomes()
		s.check("outcomes", len(got), 9)
		for i := range got {
			want := fmt.Sprintf("p1-%d succeeded", i+1)
			if i > 2 {
				want = fmt.Sprintf("p1-%d refused: removal_budget: 6 of 7", i+1)
			}
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("got %q, want %q", got[i], want)
			}
		}
	})
}
