package planner

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const lease = 10 * time.Second

// scene is a sensor and the fold it looks at, at a passed clock.
type scene struct {
	t   *testing.T
	s   *sensor
	st  *projection.State
	now time.Time
}

func newScene(t *testing.T) *scene {
	return &scene{t: t, s: newSensor(lease), st: projection.New(), now: dawn}
}

// log appends a fact that others wrote.
func (c *scene) log(typ events.Type, id fleet.NodeID, data events.Payload) {
	c.t.Helper()
	e := &events.Event{Type: typ, Node: id, Data: data}
	change, err := c.st.Apply(c.st.Sequence()+1, c.now, e)
	if err != nil {
		c.t.Fatal(err)
	}
	c.s.folded(c.st, change.Nodes, c.now)
}

func (c *scene) beat(id fleet.NodeID, b events.Heartbeat) {
	c.s.see(eventlog.Sighting{Node: id, Heartbeat: &b, Time: c.now})
}

func (c *scene) leaseEnds(id fleet.NodeID) { c.s.see(eventlog.Sighting{Node: id, Time: c.now}) }

func (c *scene) later(d time.Duration) { c.now = c.now.Add(d) }

// concluded returns the types of the facts that the sensor concludes, and
// folds them, as if the append had succeeded.
func (c *scene) concluded() string {
	entries, _ := c.s.conclude(c.st, c.now)
	var types []string
	for _, e := range entries {
		types = append(types, string(e.Event.Type))
		c.log(e.Event.Type, e.Event.Node, e.Event.Data)
	}
	return strings.Join(types, " ")
}

func (c *scene) want(does, facts string) {
	c.t.Helper()
	if got := c.concluded(); got != facts {
		c.t.Errorf("%s: concluded %q, want %q", does, got, facts)
	}
}

// signing puts a node on the log that is present and has proved serial "s1".
func (c *scene) signing(id fleet.NodeID, notAfter time.Time) {
	c.log(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, Session: "a", KeyFingerprint: "key"})
	c.log(events.TypeCredentialIssued, id, &events.CredentialIssued{Epoch: 1, Serial: "s1", Nonce: "n", KeyFingerprint: "key", NotAfter: notAfter})
	c.log(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: 1, Serial: "s1", Nonce: "n"})
	if !c.st.CanSign(id) {
		c.t.Fatal("the scene's node cannot sign")
	}
}

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

func TestSensorEndsACredentialTheSkewMarginEarly(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key", Serial: "s1"})
	c.signing("n", dawn.Add(time.Hour))
	c.want("a fresh credential", "")
	c.later(lease)
	c.want("the first lease is over", "")
	if want := dawn.Add(time.Hour - 30*time.Second); !c.s.nextDeadline().Equal(want) {
		t.Errorf("next deadline %s, want %s", c.s.nextDeadline(), want)
	}
	c.later(time.Hour - 30*time.Second)
	c.want("30 s before its end", "credential.expired")
	if c.st.CanSign("n") {
		t.Error("can sign with an expired credential")
	}
}

func TestSensorRevokesWhatARestartedNodeNoLongerHolds(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key", Serial: "s1"})
	c.signing("n", dawn.Add(time.Hour))
	c.want("same session", "")
	c.later(lease)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key", Serial: "s1"})
	c.want("restarted with its credential", "node.appeared")
	c.later(lease)
	c.beat("n", events.Heartbeat{Session: "c", KeyFingerprint: "key"})
	c.want("restarted without it", "node.appeared credential.revoked")
	if c.st.CanSign("n") {
		t.Error("can sign without a credential")
	}
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

func TestSensorNeverDampsALostCredential(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key", Serial: "s1"})
	c.signing("n", dawn.Add(time.Hour))
	c.later(time.Minute)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key", Serial: "s1"})
	c.want("restarted", "node.appeared")
	c.later(time.Second)
	c.beat("n", events.Heartbeat{Session: "c", KeyFingerprint: "other"})
	c.want("restarted at once with nothing", "node.appeared credential.revoked")
	if c.st.CanSign("n") {
		t.Error("can sign although key and credential are gone")
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
		c.beat(fleet.NodeID(fmt.Sprintf("n%03d", nodes-i)), events.Heartbeat{Session: "a"})
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

func TestSensorPassesOnlyProofsOfTheNewestChallenge(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key"})
	c.want("a first heartbeat", "node.appeared")
	c.log(events.TypeCredentialIssued, "n", &events.CredentialIssued{Epoch: 1, Serial: "s2", Nonce: "n2", KeyFingerprint: "key", NotAfter: dawn.Add(time.Hour)})
	c.s.proofs["n"] = &events.Event{Type: events.TypeCredentialProved, Node: "n", Data: &events.CredentialProved{Epoch: 1, Serial: "s1", Nonce: "n1"}}
	c.s.agenda.add("n")
	c.want("a proof of an older challenge", "")
	c.s.proofs["n"] = &events.Event{Type: events.TypeCredentialProved, Node: "n", Data: &events.CredentialProved{Epoch: 1, Serial: "s2", Nonce: "n2"}}
	c.s.agenda.add("n")
	c.want("a proof of the newest challenge", "credential.proved")
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

// A node that restarts in the midst of a renewal holds two credentials, and
// what it beat before a proof says nothing of what it has proved.
func TestSensorTakesNoRenewedCredentialForLost(t *testing.T) {
	for name, beat := range map[string]events.Heartbeat{
		"the old and the pending": {Session: "b", KeyFingerprint: "key", Serial: "s0", PendingSerial: "s1"},
		"the new one":             {Session: "b", KeyFingerprint: "key", Serial: "s1"},
	} {
		c := newScene(t)
		c.s.beginWatch(c.st, c.now)
		c.signing("n", dawn.Add(time.Hour))
		c.later(lease)
		c.beat("n", beat)
		c.want(name, "node.appeared")
	}
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key", Serial: "s0"})
	c.signing("n", dawn.Add(time.Hour))
	c.want("a heartbeat of before the proof", "")
	c.later(time.Second)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key", Serial: "s0", PendingSerial: "s1"})
	c.want("the next one", "node.appeared")

	c = newScene(t)
	c.s.beginWatch(c.st, c.now)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key", Serial: "s0"})
	c.signing("n", dawn.Add(time.Hour))
	c.want("a heartbeat of before the proof", "")
	c.later(time.Second)
	c.beat("n", events.Heartbeat{Session: "b", KeyFingerprint: "key", Serial: "s0"})
	c.want("the next one lacks it, too", "node.appeared credential.revoked")
}
