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
