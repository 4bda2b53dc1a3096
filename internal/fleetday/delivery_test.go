package fleetday

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// absent is the enrolment of a node whose agent nobody has started: a handler
// that works for as long as the story wants.
var absent = fleet.Action{Type: fleet.EnrollNode, ID: "n2"}

// awaitRuns waits until handlers ran for a need that often.
func (r *rig) awaitRuns(bound time.Duration, need fleet.Action, n int) []ran {
	r.Helper()
	for end := time.Now().Add(bound); time.Now().Before(end); r.pass(10 * time.Millisecond) {
		if some := r.runs.of(need); len(some) >= n {
			return some
		}
	}
	r.Fatalf("waited %s for run %d of %s of %s", bound, n, need.Type, need.ID)
	return nil
}

// once demands that an action was published once and succeeded once.
func (r *rig) once(mark uint64, run ran) {
	r.Helper()
	published := find(r.since(mark), run.need.ID, events.TypeOfAction(run.need.Type))
	ended := find(r.since(mark), run.need.ID, events.TypeActionSucceeded, events.TypeActionFailed, events.TypeActionRefused)
	if len(published) != 1 || len(ended) != 1 {
		r.Errorf("%s of %s was published %d times and ended %d times", run.need.Type, run.need.ID, len(published), len(ended))
		return
	}
	done, ok := ended[0].Event.Data.(*events.ActionSucceeded)
	if !ok || done.Action != run.action || published[0].Event.ID != string(run.action) {
		r.Errorf("%s ran, %s was published, and the outcome is %+v", run.action, published[0].Event.ID, ended[0].Event.Data)
	}
}

// An executor that dies says nothing more. Its action goes to the other one
// when it has been silent for AckWait, under the same id, and ends once.
func TestTheActionOfAnExecutorThatDiesIsHandedOn(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled("n1")
		calm := r.mark()
		r.want(desired{nodes: []fleet.NodeID{"n1", "n2"}, strict: true})
		first := r.awaitRuns(time.Second, absent, 1)[0]
		r.pass(4 * time.Second) // it has asked for more time once by now
		r.processes[first.executor].kill()
		killed := time.Now()
		second := r.awaitRuns(executor.DefaultAckWait+time.Second, absent, 2)[1]
		// It asks for more time at each third of AckWait.
		silent := second.at.Sub(killed)
		if least := executor.DefaultAckWait * 2 / 3; silent < least || silent > executor.DefaultAckWait+100*time.Millisecond {
			r.Errorf("the action was handed on %s after the end of %s", silent, first.executor)
		}
		if second.action != first.action || second.executor == first.executor {
			r.Errorf("%+v was followed by %+v", first, second)
		}
		r.nodes("n2")
		r.converge(30 * time.Second)
		if all := r.runs.of(absent); len(all) != 2 {
			r.Errorf("it ran %d times: %+v", len(all), all)
		}
		r.once(calm, first)
		r.judge()
	})
}

// A handler may work for longer than AckWait: who works on and says so keeps
// its action, with a second executor idle beside it.
func TestALongActionIsNotHandedOutTwice(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled("n1")
		calm := r.mark()
		r.want(desired{nodes: []fleet.NodeID{"n1", "n2"}, strict: true})
		r.pass(handlers.DefaultEnrollTimeout - time.Second)
		r.nodes("n2")
		r.converge(time.Second)
		r.pass(time.Minute)
		all := r.runs.of(absent)
		if len(all) != 1 {
			r.Fatalf("it ran %d times: %+v", len(all), all)
		}
		r.once(calm, all[0])
		r.judge()
	})
}

// An executor that is told to stop gives back what it has not finished, and
// nobody waits for AckWait.
func TestTheActionOfAnExecutorThatStopsIsHandedOnAtOnce(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled("n1")
		calm := r.mark()
		r.want(desired{nodes: []fleet.NodeID{"n1", "n2"}, strict: true})
		first := r.awaitRuns(time.Second, absent, 1)[0]
		r.processes[first.executor].stop()
		second := r.awaitRuns(time.Second, absent, 2)[1]
		if second.action != first.action || second.executor == first.executor {
			r.Errorf("%+v was followed by %+v", first, second)
		}
		r.nodes("n2")
		r.converge(time.Second)
		r.once(calm, first)
		r.judge()
	})
}
