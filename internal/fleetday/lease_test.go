package fleetday

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// leaseLate is how much later than its lease a node may be called lost: the
// server ends leases in rounds.
const leaseLate = time.Second

// beats follows the leases as any sensor does, until the story ends.
type beats struct {
	mu     sync.Mutex
	newest map[fleet.NodeID]time.Time // when the server stored it
}

func (r *rig) followLeases() *beats {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	sightings, err := r.witness.bus.Sightings(ctx)
	if err != nil {
		r.Fatal(err)
	}
	b := &beats{newest: make(map[fleet.NodeID]time.Time)}
	var following sync.WaitGroup
	following.Go(func() {
		for {
			seen, _, err := sightings.Next(ctx)
			if err != nil {
				return
			}
			b.mu.Lock()
			for _, s := range seen {
				if s.Heartbeat != nil {
					b.newest[s.Node] = s.Time
				}
			}
			b.mu.Unlock()
		}
	})
	r.atEnd(func() { cancel(); following.Wait(); sightings.Close() })
	return b
}

func (b *beats) of(id fleet.NodeID) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest[id]
}

// A lease that is renewed never ends. One that is not ends its own length after
// the last heartbeat, and then and not before the node is called lost.
func TestALeaseEndsAtItsTimeAndNotBefore(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled("n1", "n2")
		leases := r.followLeases()
		calm := r.mark()
		r.pass(3 * time.Minute)
		r.none(calm, "", events.TypeNodeLost, events.TypeNodeAppeared, events.TypePlanDecided)
		r.processes["agent-n1"].kill()
		lost := r.awaitEvent(lease+leaseLate, calm, "n1", events.TypeNodeLost)
		if late := lost.Time.Sub(leases.of("n1").Add(lease)); late < 0 || late > leaseLate {
			r.Errorf("n1 was called lost %s after the end of its lease", late)
		}
		r.none(calm, "n2", events.TypeNodeLost)
		r.judge()
	})
}

// Who comes back while its lease runs was never lost.
func TestANodeThatReturnsWithinItsLeaseNeedsNoAction(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled("n1", "n2")
		calm := r.mark()
		r.processes["agent-n1"].kill()
		r.pass(lease - lease/3 - time.Second) // the last heartbeat may be a third of the lease old
		r.processes["agent-n1"].again()
		r.awaitEvent(lease, calm, "n1", events.TypeNodeAppeared) // with another session
		r.pass(2 * time.Minute)
		r.none(calm, "", append(actions(), events.TypeNodeLost, events.TypeCredentialRevoked)...)
		r.signs("n1")
		r.judge()
	})
}

// Who comes back soon after its lease has ended, and can still sign, needs
// nobody either: an enrolment waits as long as others may be lost with it.
func TestANodeThatReturnsSoonAfterItWasLostNeedsNoAction(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled("n1", "n2")
		calm := r.mark()
		r.processes["agent-n1"].kill()
		r.awaitEvent(lease+leaseLate, calm, "n1", events.TypeNodeLost)
		r.pass(engine.DefaultSafeguards().LostWait - time.Second)
		r.processes["agent-n1"].again()
		r.pass(2 * time.Minute)
		r.none(calm, "", append(actions(), events.TypeCredentialRevoked)...)
		r.signs("n1")
		r.judge()
	})
}

// An enrolment of a node that comes back with its key and its credential is
// done when the node is there: it is handed no other credential.
func TestANodeThatReturnsLateKeepsItsCredential(t *testing.T) {
	inFakeTime(t, func(r *rig) {
		r.settled("n1", "n2")
		calm := r.mark()
		r.processes["agent-n1"].kill()
		enrol := r.awaitEvent(lease+time.Minute, calm, "n1", events.TypeOfAction(fleet.EnrollNode))
		lost := find(r.since(calm), "n1", events.TypeNodeLost)[0]
		if waited := enrol.Time.Sub(lost.Time); waited < engine.DefaultSafeguards().LostWait {
			r.Errorf("the enrolment came %s after the loss", waited)
		}
		r.pass(10 * time.Second)
		r.processes["agent-n1"].again()
		r.converge(time.Second)
		r.none(calm, "", events.TypeCredentialIssued, events.TypeCredentialRevoked, events.TypeActionFailed)
		r.signs("n1")
		r.judge()
	})
}
