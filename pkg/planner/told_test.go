package planner_test

import (
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Two planners refuse the same messages, and the log tells of each once.
func TestWhatTheBorderRefusesIsAFact(t *testing.T) {
	s := newSite(t)
	v, _ := s.planner()
	s.planner()
	ca := s.trust("fleet.example")
	n1, n2 := s.node("n1"), s.node("n2")
	s.beat(n1)
	s.next(events.TypeNodeAppeared)
	s.apply(v, twoNodes)
	s.next(events.TypeInventoryApplied)
	issued := s.issue(ca, n1)
	other := *issued
	other.Nonce = "00000000000000000000000000000000"
	s.prove(n1, n2.key, "spiffe://fleet.example/n1", issued)
	s.prove(n1, n1.key, "spiffe://fleet.example/n2", issued)
	s.prove(n1, n1.key, "spiffe://fleet.example/n1", &other)

	told := map[fleet.Reason]uint64{}
	for len(told) < 3 {
		r := s.next(events.TypeMessageRefused)
		d := r.Event.Data.(*events.MessageRefused)
		if told[d.Reason] > 0 || d.Channel != "credential" || d.Node != "n1" || r.Event.Node != "n1" || d.Count != 1 || d.Detail == "" {
			t.Errorf("%+v, after %v", d, told)
		}
		told[d.Reason] += d.Count
	}
	for _, reason := range []fleet.Reason{"proof_signature", "source_mismatch", "no_such_challenge"} {
		if told[reason] == 0 {
			t.Errorf("nothing is told of %s: %v", reason, told)
		}
	}
}
