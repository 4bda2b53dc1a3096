package fleetday

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

var four = []fleet.NodeID{"n1", "n2", "n3", "n4"}

// bounce takes the server away for a while.
func (r *rig) bounce(down time.Duration) {
	r.Helper()
	r.diary.tell("the server goes down for %s", down)
	r.site.stop()
	r.pass(down)
	r.site.start(r.T)
	r.diary.tell("the server is back")
}

// reconnected is how long everybody may take to find the server again.
const reconnected = 2 * time.Second

// The server goes at the very moment at which a fleet takes its next step
// towards its inventory, and comes back with all that it had acknowledged. Nobody
// is called lost, no action ends twice, and the fleet gets there.
func TestTheServerRestartsWhileAFleetIsBroughtUp(t *testing.T) {
	const short, long = 0, lease + time.Second
	for _, c := range []struct {
		moment events.Type
		down   time.Duration
	}{
		{events.TypeInventoryApplied, short}, {events.TypeInventoryApplied, long},
		{events.TypeTrustPublished, short},
		{events.TypeNodeAppeared, short},
		{events.TypePlanDecided, short}, {events.TypePlanDecided, long},
		{events.TypeCredentialIssued, short}, {events.TypeCredentialIssued, long},
		{events.TypeCredentialProved, short},
		{events.TypeActionSucceeded, long},
		{events.TypeEnforcementEnabled, short},
	} {
		t.Run(fmt.Sprintf("at %s for %s", c.moment, c.down), func(t *testing.T) {
			inFakeTime(t, func(r *rig) { r.restartAt(c.moment, c.down) })
		})
	}
}

func (r *rig) restartAt(moment events.Type, down time.Duration) {
	r.Helper()
	r.services()
	r.nodes(four...)
	r.want(desired{nodes: four, strict: true})
	r.awaitEvent(time.Minute, 0, "", moment)
	r.bounce(down)
	// An action whose executor could not tell that it is at it is handed out again
	// after AckWait, and may be one that others wait for.
	r.converge(time.Minute)
	r.pass(lease + reconnected + time.Second)
	r.none(0, "", events.TypeNodeLost, events.TypeNodeLeft)
	r.judge()
}

// A server that was away knows of nobody. Whoever is there says so within a
// lease, and whoever is not is called lost only behind that.
func TestNobodyIsLostWithinALeaseOfTheServersReturn(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled(four...)
		r.pass(time.Minute)
		calm := r.mark()
		r.processes["agent-n4"].kill()
		r.bounce(10 * time.Minute)
		back := time.Now()
		lost := r.awaitEvent(2*lease, calm, "n4", events.TypeNodeLost)
		if after := lost.Time.Sub(back); after < lease || after > lease+reconnected+time.Second {
			r.Errorf("n4 was called lost %s after the server was back", after)
		}
		for _, id := range four[:3] {
			r.none(calm, id, events.TypeNodeLost, events.TypeNodeAppeared)
			r.signs(id)
		}
		r.processes["agent-n4"].again()
		r.converge(time.Minute)
		r.judge()
	})
}

// Agents that ended with the server and come back with it, before a lease is
// over, are as good as never gone.
func TestAFleetThatComesBackWithItsServerNeedsNoAction(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled(four...)
		r.pass(time.Minute)
		calm := r.mark()
		for _, id := range four {
			r.processes[agentOf(id)].kill()
		}
		r.bounce(time.Hour)
		r.pass(lease / 2)
		for _, id := range four {
			r.processes[agentOf(id)].again()
		}
		r.pass(4 * lease)
		r.none(calm, "", append(actions(), events.TypeNodeLost, events.TypeCredentialRevoked)...)
		for _, id := range four {
			r.signs(id)
		}
		r.judge()
	})
}

// Everything but the agents starts again, as after a power cut of the machine
// that the services run on; and then the services once more, in the midst of an
// enrolment.
func TestAllServicesRestartAtOnce(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled(four...)
		r.pass(time.Minute)
		calm := r.mark()
		restart := func() {
			for _, name := range services {
				r.processes[name].kill()
			}
			r.bounce(5 * time.Second)
			for _, name := range services {
				r.processes[name].again()
			}
		}
		restart()
		r.pass(2 * lease)
		r.none(calm, "", append(actions(), events.TypeNodeLost, events.TypeNodeAppeared)...)

		r.want(desired{nodes: append(slices.Clone(four), "n5"), strict: true})
		r.awaitEvent(time.Minute, calm, "n5", events.TypeOfAction(fleet.EnrollNode))
		r.pass(3 * time.Second)
		restart()
		r.nodes("n5")
		r.converge(time.Minute)
		r.none(calm, "", events.TypeNodeLost, events.TypeActionFailed)
		// Its enrolment is refused if it is there before an executor is: then it
		// is issued its credential by itself. In no case is it issued two.
		if issued := find(r.since(calm), "n5", events.TypeCredentialIssued); len(issued) != 1 {
			r.Errorf("n5 was issued %d credentials", len(issued))
		}
		r.judge()
	})
}
