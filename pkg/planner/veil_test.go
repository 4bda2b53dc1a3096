package planner

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

func TestWhatCannotBeReadEndsALeaseInItsTime(t *testing.T) {
	beat := events.Heartbeat{Session: "a", KeyFingerprint: "key"}
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", beat)
	c.want("a first heartbeat", "node.appeared")

	c.s.veil("n", c.now)
	c.later(lease - time.Second)
	c.want("the lease may still run", "")
	c.beat("n", beat)
	c.later(time.Second)
	c.want("it was renewed meanwhile", "")

	c.s.veil("n", c.now)
	c.later(lease / 2)
	c.s.veil("n", c.now) // and again, which asks for no more time
	c.later(lease / 2)
	c.want("nothing readable came for a whole lease", "node.lost")
	c.beat("n", beat)
	c.want("it speaks again", "node.appeared")

	c.s.veil("stranger", c.now)
	c.later(2 * lease)
	c.want("who was never seen is not lost", "")
}

func TestSensorMissesWhomTheLogTellsOfWhileItBeginsToWatch(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.log(events.TypeNodeAppeared, "n", &events.NodeAppeared{Epoch: 1, Session: "a"})
	if c.s.settled() {
		t.Error("settled although the log calls a node present that nobody saw")
	}
	c.later(lease - time.Second)
	c.want("less than a lease was watched", "")
	c.later(time.Second)
	c.want("it was not seen for a whole lease", "node.lost")
}
