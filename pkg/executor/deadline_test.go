package executor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const deadlinePassed = " failed deadline_exceeded: the handler does not end, though its deadline of 30s has passed"

// A handler that heeds nothing, not even the end of its context, costs the
// others nothing and its own plan the deadline.
func TestAHandlerThatHangsIsEndedByItsDeadline(t *testing.T) {
	story(t, func(s *shop) {
		release := make(chan struct{})
		s.config.Concurrency = 2
		s.handle(fleet.EnrollNode, func(_ context.Context, t executor.Task) (executor.Result, error) {
			if t.Node.ID == "a" {
				<-release
			}
			return executor.Result{}, nil
		})
		s.handle(fleet.DecommissionNode, func(context.Context, executor.Task) (executor.Result, error) { return executor.Result{}, nil })
		s.want(false, "a", "b", "c", "keeper")
		s.keep("keeper")
		s.appear("z")
		s.publish("p1", enroll("a"), enroll("b"), enroll("c"), remove("z"))
		s.open()
		s.check("meanwhile", s.outcomes(), "[p1-2 succeeded p1-3 succeeded]")
		time.Sleep(executor.DefaultDeadline + time.Second) // fake time
		synctest.Wait()
		s.check("behind the deadline", s.outcomes(), "[p1-2 succeeded p1-3 succeeded p1-1"+deadlinePassed+" p1-4 succeeded]")

		s.publish("p2", enroll("a"))
		s.check("beside the first run", s.outcomes()[4:], "[p2-1 failed still_running: an earlier run has not ended, though its deadline has passed]")
		close(release)
		synctest.Wait()
		s.publish("p3", enroll("a"))
		s.check("after it", s.outcomes()[5:], "[p3-1 succeeded]")
	})
}
