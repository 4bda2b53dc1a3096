package fleetday

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// attempts is enough of them to wait at the cap.
const attempts = 11

// A node that does not come up is enrolled again and again: after waits that
// double up to the cap, each lengthened by chance, none skipped and none made
// shorter by a planner that was restarted meanwhile.
func TestWaitsBetweenAttemptsGrowToTheCap(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		// One of each is enough here, and half the work.
		r.start("planner-1", r.planner)
		r.start("executor-1", r.executor)
		r.nodes("n1")
		r.want(desired{nodes: []fleet.NodeID{"n1"}, strict: true})
		r.converge(time.Minute)
		calm := r.mark()
		r.want(desired{nodes: []fleet.NodeID{"n1", "ghost"}, strict: true})
		ghost := fleet.Action{Type: fleet.EnrollNode, ID: "ghost"}
		for _, restartAt := range []int{5, 8} {
			r.awaitAttempt(ghost, restartAt)
			r.processes["planner-1"].stop()
			r.processes["planner-1"].again()
		}
		r.awaitAttempt(ghost, attempts)
		r.waits(find(r.since(calm), "ghost", events.TypeOfAction(ghost.Type), events.TypeActionFailed))

		r.nodes("ghost")
		r.converge(time.Minute)
		r.judge()
	})
}

// awaitAttempt waits until that attempt is on the log.
func (r *rig) awaitAttempt(need fleet.Action, attempt int) {
	r.Helper()
	r.await(time.Hour, "another attempt", func(s *projection.State) bool {
		return s.Ledger().Attempts(need).Published >= attempt
	})
}

// waits holds each wait between a failure and the attempt behind it to the
// policy's bounds. The records are attempts and failures in turn.
func (r *rig) waits(turns []eventlog.Record) {
	r.Helper()
	policy := engine.DefaultPolicy()
	chance := make(map[time.Duration]bool)
	least := policy.BackoffBase
	for i, record := range turns {
		attempt, ok := record.Event.Data.(*events.ActionRequested)
		if ok != (i%2 == 0) {
			r.Fatalf("attempts and failures do not take turns: %s is number %d", record.Event.Type, i)
		}
		if !ok {
			continue
		}
		if want := i/2 + 1; attempt.Attempt != want {
			r.Errorf("attempt %d calls itself %d", want, attempt.Attempt)
		}
		if i == 0 {
			continue
		}
		waited := record.Time.Sub(turns[i-1].Time)
		most := least + time.Duration(policy.Jitter*float64(least))
		// The planner wakes no more often than each millisecond.
		if waited < least || waited > most+10*time.Millisecond {
			r.Errorf("attempt %d came %s after the failure, want %s to %s", attempt.Attempt, waited, least, most)
		}
		chance[(waited-least)*1000/least] = true
		least = min(2*least, policy.BackoffCap)
	}
	if len(chance) < attempts/2 {
		r.Errorf("waits are lengthened by %v thousandths: that is no chance", chance)
	}
	r.Logf("%d attempts, the last %s after the failure before", len(turns)/2+1, turns[len(turns)-1].Time.Sub(turns[len(turns)-2].Time))
}
