package planner

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestSensorFollowsALifeOfANode(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.want("nothing was seen", "")
	c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key"})
	c.want("a first heartbeat", "node.appeared")
	c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key"})
	c.want("a renewal is no news", "")
	c.leaseEnds("n")
	c.want("the lease ended", "node.lost")
	c.later(time.Second)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key"})
	c.want("it came back", "node.appeared")
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key", Leaving: true})
	c.want("it said farewell", "node.left")
	c.leaseEnds("n")
	c.want("the lease of one that left ends", "")
}

func TestSensorTakesNobodyForLostBeforeOneLease(t *testing.T) {
	c := newScene(t)
	c.log(events.TypeNodeAppeared, "seen", &events.NodeAppeared{Epoch: 1, Session: "a"})
	c.log(events.TypeNodeAppeared, "unseen", &events.NodeAppeared{Epoch: 1, Session: "a"})
	c.s.beginWatch(c.st, c.now)
	if c.s.settled() {
		t.Error("settled although two nodes are unseen")
	}
	c.beat("seen", events.Heartbeat{Session: "a"})
	c.later(lease - time.Second)
	c.want("less than a lease was watched", "")
	c.later(time.Second)
	c.want("a whole lease was watched", "node.lost")
	if !c.s.settled() {
		t.Error("not settled after one lease")
	}
	if n, _ := c.st.Node("unseen"); n.Present {
		t.Error("the unseen node is still present")
	}
	if n, _ := c.st.Node("seen"); !n.Present {
		t.Error("the seen node is not present")
	}
}

func TestSensorSettlesAtOnceWhenAllWereSeen(t *testing.T) {
	c := newScene(t)
	c.log(events.TypeNodeAppeared, "n", &events.NodeAppeared{Epoch: 1, Session: "a"})
	c.beat("n", events.Heartbeat{Session: "a"})
	c.s.beginWatch(c.st, c.now)
	if !c.s.settled() {
		t.Error("not settled although everybody was seen")
	}
}

func TestSensorIsBlindAndNotMistakenWhenTheLeasesBeginAnew(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	for _, id := range []fleet.NodeID{"back", "gone"} {
		c.beat(id, events.Heartbeat{Session: "a"})
	}
	c.want("two nodes come", "node.appeared node.appeared")
	c.later(time.Hour)
	c.want("long after", "")
	c.s.loseSight()
	if c.s.settled() {
		t.Error("settled while blind")
	}
	c.want("blind", "")
	c.s.beginWatch(c.st, c.now)
	c.beat("back", events.Heartbeat{Session: "a"})
	c.want("one is seen again", "")
	c.later(lease)
	c.want("a lease later", "node.lost")
	if n, _ := c.st.Node("gone"); n.Present {
		t.Error("the node that was not seen again is still present")
	}
}

// Two sensors see a heartbeat one after the other. The second one must not take
// for lost whom the first one put on the log, however long it has watched; but
// if it never sees that node, it does not believe in it for ever.
func TestSensorGivesWhomAnotherSawALeaseToBeSeen(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.later(time.Hour)
	c.want("nobody is there", "")
	for _, id := range []fleet.NodeID{"there", "gone"} {
		c.log(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, Session: "a"})
	}
	c.want("another sensor saw two nodes", "")
	if want := c.now.Add(lease); !c.s.nextDeadline().Equal(want) {
		t.Errorf("next deadline %s, want %s", c.s.nextDeadline(), want)
	}
	c.later(time.Second)
	c.beat("there", events.Heartbeat{Session: "a"})
	c.later(lease - 2*time.Second)
	c.want("less than a lease later", "")
	c.later(time.Second)
	c.want("a lease later", "node.lost")
	if n, _ := c.st.Node("there"); !n.Present {
		t.Error("the node that was seen is not present")
	}
	c.log(events.TypeNodeAppeared, "gone", &events.NodeAppeared{Epoch: 1, Session: "b"})
	c.want("it comes back, and has a lease anew", "")
}

// The end of a lease is read by two sensors one after the other. The second one
// must not bring back whom the first one called lost on what it saw before.
func TestSensorDoesNotBringBackWhomAnotherKnowsToBeGone(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	beat := events.Heartbeat{Session: "a", KeyFingerprint: "key"}
	for _, id := range []fleet.NodeID{"gone", "there"} {
		c.beat(id, beat)
		c.want("a first heartbeat", "node.appeared")
		c.want("the log agrees", "")
		c.beat(id, beat)
	}
	c.log(events.TypeNodeLost, "gone", &events.NodeLost{Epoch: 1, Reason: LostLeaseExpired})
	c.log(events.TypeNodeLost, "there", &events.NodeLost{Epoch: 1, Reason: LostLeaseExpired})
	c.want("another sensor calls both lost", "")
	c.leaseEnds("gone")
	c.want("one of them is", "")
	c.beat("there", beat)
	c.want("the other one goes on beating", "node.appeared")
	c.beat("gone", beat)
	c.want("the first one comes back in its old session", "node.appeared")
}

func TestSensorDampsTwoProcessesThatClaimOneID(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	facts := 0
	for i := range 20 {
		c.later(time.Second)
		c.beat("n", events.Heartbeat{Session: []string{"a", "b"}[i%2], KeyFingerprint: "key"})
		if c.concluded() != "" {
			facts++
		}
	}
	if facts > 3 {
		t.Errorf("%d facts in two leases of quarrel", facts)
	}
}

func TestSensorCatchesUpWithADampedSession(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key"})
	c.want("a first heartbeat", "node.appeared")
	c.later(time.Second)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key2"})
	c.want("restarted at once", "")
	if want := dawn.Add(lease); !c.s.nextDeadline().Equal(want) {
		t.Errorf("next deadline %s, want %s", c.s.nextDeadline(), want)
	}
	c.later(lease)
	c.want("when the damping is over", "node.appeared")
	if n, _ := c.st.Node("n"); n.Session != "b" || n.KeyFingerprint != "key2" {
		t.Errorf("the log has session %s with key %s", n.Session, n.KeyFingerprint)
	}
}

func TestSensorWaitsALeaseForWhoseLeaseEndedUnwatched(t *testing.T) {
	c := newScene(t)
	c.log(events.TypeNodeAppeared, "n", &events.NodeAppeared{Epoch: 1, Session: "a"})
	c.leaseEnds("n")
	c.s.beginWatch(c.st, c.now)
	c.want("its lease ended before anyone watched", "")
	c.leaseEnds("n")
	c.want("the marker comes again", "")
	c.later(lease)
	c.want("a lease later", "node.lost")
}

func TestSensorReportsInTheOrderOfTheNews(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	const nodes = maxFacts + 40
	for i := range nodes {
		c.beat(fleet.NodeID(fmt.Sprintf("n%04d", nodes-i)), events.Heartbeat{Session: "a"})
	}
	var ids []string
	for range 2 {
		entries, _ := c.s.conclude(c.st, c.now)
		for _, e := range entries {
			ids = append(ids, string(e.Event.Node))
		}
	}
	slices.Reverse(ids)
	if len(ids) != nodes || !slices.IsSorted(ids) {
		t.Errorf("%d facts in another order than the heartbeats", len(ids))
	}
}

func TestSensorIgnoresTheLastHeartbeatOfARemovedNode(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "a"})
	c.want("a first heartbeat", "node.appeared")
	c.later(time.Second)
	c.log(events.TypeNodeRemoved, "n", &events.NodeRemoved{Epoch: 1})
	c.want("its lease still runs", "")
	c.later(time.Second)
	c.beat("n", events.Heartbeat{Session: "b"})
	c.want("it beats again", "node.appeared")
	if n, _ := c.st.Node("n"); n.Epoch != 2 {
		t.Errorf("epoch %d after a removal, want 2", n.Epoch)
	}
}

// An agent that was not reached, or was started again before its removal was on
// the log, keeps its session through it.
func TestSensorSeesWhoGoesOnBeatingAfterItsRemoval(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "a"})
	c.want("a first heartbeat", "node.appeared")
	c.later(time.Second)
	c.log(events.TypeNodeRemoved, "n", &events.NodeRemoved{Epoch: 1})
	c.want("its lease still runs", "")
	c.later(time.Second)
	c.beat("n", events.Heartbeat{Session: "a"})
	c.want("it beats on", "node.appeared")
	c.beat("n", events.Heartbeat{Session: "a"})
	c.want("a renewal is no news", "")
}

func TestSensorFencesOnlyTheFirstFactOfANode(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.signing("n", dawn.Add(time.Hour))
	c.log(events.TypeNodeLost, "n", &events.NodeLost{Epoch: 1})
	c.later(time.Second)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key"})
	entries, looked := c.s.conclude(c.st, c.now)
	if len(entries) != 2 || len(looked) != 1 {
		t.Fatalf("%d entries about %d nodes, want 2 about 1", len(entries), len(looked))
	}
	if entries[0].Fence != eventlog.LastOnSubject(c.st.LastNode("n")) || entries[1].Fence != (eventlog.Fence{}) {
		t.Errorf("fences %+v and %+v", entries[0].Fence, entries[1].Fence)
	}
	if entries[0].Event.ID == entries[1].Event.ID {
		t.Error("two facts with one id")
	}
	c.s.undo(looked)
	if again, _ := c.s.conclude(c.st, c.now); len(again) != 2 || again[0].Event.ID != entries[0].Event.ID {
		t.Error("after a lost race the same facts are concluded with the same ids")
	}
}
