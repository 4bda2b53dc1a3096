package planner

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

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

func TestSensorTellsOfAChangedBundle(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	beat := func(bundle string) {
		c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key", Bundle: bundle})
	}
	beat("b1")
	c.want("a first heartbeat", "node.appeared")
	c.want("the rest of it", "node.bundle-reported")
	beat("b1")
	c.want("a renewal is no news", "")
	c.later(lease)
	beat("b2")
	c.want("another bundle", "node.bundle-reported")
	beat("b3")
	c.want("one more within a lease waits", "")
	c.later(lease)
	c.want("a lease later", "node.bundle-reported")
	c.later(lease)
	beat("")
	c.want("it holds none", "node.bundle-reported")
	if n, _ := c.st.Node("n"); n.Bundle != "" {
		t.Errorf("bundle is %q", n.Bundle)
	}
}

// Of two sensors one hears the heartbeat with the new bundle first and tells. The
// other still has the one before, which is no news.
func TestSensorsDoNotTellOfABundleInTurns(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	beat := func(bundle string) {
		c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key", Bundle: bundle})
	}
	beat("")
	c.want("a first heartbeat", "node.appeared")
	c.want("no bundle yet", "")
	c.later(lease)
	c.log(events.TypeNodeBundleReported, "n", &events.NodeBundleReported{Epoch: 1, Digest: "b1"}) // by the other
	c.want("what was heard before", "")
	beat("b1")
	c.want("the heartbeat that the other has heard", "")
	c.later(lease)
	c.log(events.TypeNodeBundleReported, "n", &events.NodeBundleReported{Epoch: 1, Digest: "b2"})
	c.want("what was heard before", "")
	beat("b1")
	c.want("the other one was wrong", "node.bundle-reported")
}

func TestSensorIsNotFloodedByBundles(t *testing.T) {
	c := newScene(t)
	c.s.beginWatch(c.st, c.now)
	facts := 0
	for i := range 20 {
		c.later(time.Second)
		c.beat("n", events.Heartbeat{Session: "a", KeyFingerprint: "key", Bundle: []string{"x", "y"}[i%2]})
		if c.concluded() != "" {
			facts++
		}
	}
	if facts > 4 {
		t.Errorf("%d facts in two leases", facts)
	}
}
