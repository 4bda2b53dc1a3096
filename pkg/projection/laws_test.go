package projection_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

var lawIDs = []fleet.NodeID{"n1", "n2", "n3"}

// anyLine draws from so few names that most events meet an earlier one.
func anyLine(t *rapid.T) string {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	node := " " + pick("node", "n1", "n2", "n3")
	epoch := " epoch=" + pick("epoch", "1", "1", "2", "3")
	credential := " serial=" + pick("serial", "a1", "a2") + " nonce=" + pick("nonce", "x", "x", "y")
	key := " key=" + pick("key", "k1", "k1", "k2")
	action := pick("action", "1", "2", "3", "4")
	generation := " generation=" + pick("generation", "1", "2", "3")
	verb := pick("verb", "appeared", "appeared", "lost", "left", "removed", "issued", "issued", "proved", "proved", "expired",
		"revoked", "enroll", "issue", "decommission", "enable", "disable", "succeeded", "failed", "refused", "enabled", "disabled",
		"inventory", "trust", "plan", "paused", "resumed", "rotate", "approved", "unfit", "heartbeat")
	switch verb {
	case "appeared":
		return verb + node + epoch + key + " session=" + pick("session", "s1", "s2")
	case "issued":
		return verb + node + epoch + credential + key
	case "enroll", "issue", "decommission":
		return verb + node + epoch + generation + " action=" + action + " attempt=" + pick("attempt", "1", "2", "3")
	case "enable", "disable":
		return verb + generation + " action=" + action
	case "succeeded", "failed", "refused", "trust", "plan":
		return verb + " " + action
	case "enabled", "disabled":
		return verb + " action=" + action
	case "paused", "resumed", "rotate":
		return verb + pick("target", "", " region=r1", node)
	case "approved":
		return verb + " " + action + " basis=" + pick("basis", "1", "5", "20", "60")
	case "inventory":
		return verb + " d" + action + generation
	}
	return verb + node + epoch + credential
}

// history draws the least length first: left to itself, rapid draws histories
// that are too short for much to happen in them.
func history(t *rapid.T) []string {
	least := rapid.SampledFrom([]int{0, 20, 100}).Draw(t, "least length")
	step := rapid.OneOf(rapid.Custom(anyLine), rapid.Custom(anyLine), rapid.Custom(scene))
	return lines(strings.Join(rapid.SliceOfN(step, least, least+20).Draw(t, "history"), "\n"))
}

// scene is a few events that mostly count, for by chance they seldom meet.
func scene(t *rapid.T) string {
	who := rapid.SampledFrom([]string{" n1", " n2", " n3"}).Draw(t, "node") +
		rapid.SampledFrom([]string{" epoch=1", " epoch=1", " epoch=2", " epoch=3"}).Draw(t, "epoch")
	credential := rapid.SampledFrom([]string{" serial=a1 nonce=x", " serial=a2 nonce=y"}).Draw(t, "credential")
	return strings.Join([]string{"appeared" + who, "issued" + who + credential, "proved" + who + credential}, "\n")
}

func foldLines(t testing.TB, s *projection.State, history []string) {
	for _, l := range history {
		apply(t, s, parseLine(l).event())
	}
}

func TestTheSameEventsGiveTheSameStateInHoweverManyParts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := history(rt)
		whole, parts := projection.New(), projection.New()
		foldLines(t, whole, all)
		cut := rapid.IntRange(0, len(all)).Draw(rt, "cut")
		foldLines(t, parts, all[:cut])
		everything(parts, lawIDs...) // looking must not matter
		foldLines(t, parts, all[cut:])
		if a, b := everything(whole, lawIDs...), everything(parts, lawIDs...); a != b {
			rt.Fatalf("whole:\n%s\nin parts:\n%s", a, b)
		}
	})
}

func TestWhatTheChangeDoesNotNameHasNotChanged(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		for _, l := range history(rt) {
			before, counted := facts(s, lawIDs...), total(s)
			change := apply(t, s, parseLine(l).event())
			same := facts(s, lawIDs...) == before
			if change.Empty() != same {
				rt.Fatalf("%s: change is %+v, facts are the same: %v", l, change, same)
			}
			if ignored := total(s) > counted; ignored != (same && parseLine(l).verb != "plan") {
				rt.Fatalf("%s: counted as nothing: %v, facts are the same: %v", l, ignored, same)
			}
		}
	})
}

func TestAFactOfAnotherEpochChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		foldLines(t, s, history(rt))
		e := parseLine(rapid.Custom(anyLine).Filter(func(l string) bool {
			e := parseLine(l).event()
			return e != nil && epochOf(e) != 0 && epochOf(e) != s.Ledger().Epoch(e.Node)
		}).Draw(rt, "stale")).event()
		before := facts(s, lawIDs...)
		change := apply(t, s, e)
		if now := facts(s, lawIDs...); now != before || !change.Empty() {
			rt.Fatalf("%s of epoch %d counted: %+v\nbefore:\n%s\nafter:\n%s", e.Type, epochOf(e), change, before, now)
		}
	})
}

// epochOf is the epoch an event speaks of, 0 if it speaks of none.
func epochOf(e *events.Event) uint64 {
	switch d := e.Data.(type) {
	case *events.NodeAppeared:
		return d.Epoch
	case *events.NodeLost:
		return d.Epoch
	case *events.NodeLeft:
		return d.Epoch
	case *events.NodeRemoved:
		return d.Epoch
	case *events.CredentialIssued:
		return d.Epoch
	case *events.CredentialProved:
		return d.Epoch
	case *events.CredentialExpired:
		return d.Epoch
	case *events.CredentialRevoked:
		return d.Epoch
	case *events.ActionRequested:
		return d.Epoch
	}
	return 0
}

// A node can sign exactly if history holds a reason: the newest challenge
// before an answer, answered with the same serial, nonce and epoch, and since
// then nothing that ended the credential, the key or the life.
func TestANodeCanSignExactlyIfHistorySaysWhy(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		var counted []line // the events that counted for something
		for _, l := range history(rt) {
			if !apply(t, s, parseLine(l).event()).Empty() {
				counted = append(counted, parseLine(l))
			}
			for _, id := range lawIDs {
				if got, want := s.CanSign(id), reasonToSign(counted, string(id)); got != want {
					rt.Fatalf("after %v: %s can sign: %v, but by its history: %v", counted, id, got, want)
				}
			}
		}
	})
}

// reasonToSign searches history backwards for an answer that still holds.
func reasonToSign(history []line, id string) bool {
	for at := len(history) - 1; at >= 0; at-- {
		l := history[at]
		if l.who != id || l.verb != "proved" {
			continue
		}
		challenge := newestChallenge(history[:at], id)
		if challenge == nil || challenge.text("serial", "") != l.text("serial", "") ||
			challenge.text("nonce", "") != l.text("nonce", "") || challenge.number("epoch") != l.number("epoch") {
			return false
		}
		return !slices.ContainsFunc(history[at+1:], func(later line) bool { return ends(later, *challenge) })
	}
	return false
}

func newestChallenge(history []line, id string) *line {
	for at := len(history) - 1; at >= 0; at-- {
		if l := history[at]; l.who == id && l.verb == "issued" {
			if slices.ContainsFunc(history[at+1:], func(later line) bool { return ends(later, l) }) {
				return nil
			}
			return &l
		}
	}
	return nil
}

// ends says whether an event ends the credential that another gave.
func ends(l, issued line) bool {
	if l.who != issued.who {
		return false
	}
	switch l.verb {
	case "removed":
		return true
	case "expired", "revoked":
		return l.text("serial", "") == issued.text("serial", "")
	case "appeared":
		return l.text("key", "k1") != issued.text("key", "k1")
	}
	return false
}

// The naive order: append whoever is new, delete whoever is removed.
func TestObservedKeepsTheOrderOfFirstAppearance(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		var order []fleet.NodeID
		for _, text := range history(rt) {
			l := parseLine(text)
			counted := !apply(t, s, l.event()).Empty()
			id := fleet.NodeID(l.who)
			switch {
			case counted && l.verb == "appeared" && !slices.Contains(order, id):
				order = append(order, id)
			case counted && l.verb == "removed":
				order = slices.DeleteFunc(order, func(have fleet.NodeID) bool { return have == id })
			}
			if rapid.Bool().Draw(rt, "look") && !slices.Equal(observedIDs(s), order) {
				rt.Fatalf("got %v, want %v", observedIDs(s), order)
			}
		}
		if got := observedIDs(s); !slices.Equal(got, order) {
			rt.Fatalf("got %v, want %v", got, order)
		}
	})
}

func observedIDs(s *projection.State) []fleet.NodeID {
	var ids []fleet.NodeID
	for _, n := range s.Observed().Nodes {
		ids = append(ids, n.ID)
	}
	return ids
}

func TestObservedAgreesWithWhatIsKnownOfEachNode(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		foldLines(t, s, history(rt))
		seen := make(map[fleet.NodeID]bool)
		for _, o := range s.Observed().Nodes {
			n, known := s.Node(o.ID)
			if seen[o.ID] || !known || n.Present != o.Present || s.CanSign(o.ID) != o.CanSign || n.Epoch != s.Ledger().Epoch(o.ID) {
				rt.Fatalf("observed %+v, known %v %+v", o, known, n)
			}
			seen[o.ID] = true
		}
		for _, id := range lawIDs {
			if _, known := s.Node(id); known != seen[id] {
				rt.Fatalf("%s is known: %v, observed: %v", id, known, seen[id])
			}
		}
	})
}

func TestTheLedgerHoldsWhatBeganAndDidNotEnd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		var flying []fleet.ActionID
		for _, text := range history(rt) {
			l := parseLine(text)
			e := l.event()
			if apply(t, s, e).Empty() || e == nil {
				continue
			}
			switch {
			case e.Type.IsAction():
				flying = append(flying, e.Data.(*events.ActionRequested).Action)
			case e.Type.IsOutcome():
				flying = slices.DeleteFunc(flying, func(id fleet.ActionID) bool { return string(id) == l.who })
			}
		}
		var got []fleet.ActionID
		for _, f := range s.Ledger().Flights() {
			got = append(got, f.ID)
		}
		if !slices.Equal(got, flying) || s.Ledger().Outstanding() != len(flying) {
			rt.Fatalf("got %v, want %v", got, flying)
		}
	})
}
