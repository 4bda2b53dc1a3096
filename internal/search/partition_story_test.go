package search

import (
	"testing"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// step is anything that may happen next.
func (s *sharedFleet) step() {
	switch n := s.random.IntN(20); {
	case n < 1:
		s.apply()
	case n < 2:
		s.share()
	case n < 4:
		s.tell(nodeNumber(s.random.IntN(3)), &events.NodeLeft{Epoch: 1}, events.TypeNodeLeft)
	case n < 9:
		s.execute(s.random.IntN(4) == 0)
	default: // a view that is up to eight records behind
		s.decide([]string{"", "a", "b"}[s.random.IntN(3)], max(0, len(s.log)-s.random.IntN(8)))
	}
}

// story lets things happen until a promise is broken, at most 120 times.
func (s *sharedFleet) story() {
	s.apply()
	for range 120 {
		if s.step(); s.broken != "" {
			return
		}
	}
}

var everyRule = sharedRules{samePartition: true, sameInventory: true, fence: true}

const sharedSeeds = 150

func TestPlannersThatShareAFleetNeverMeet(t *testing.T) {
	acted, refused := 0, 0
	for seed := range uint64(sharedSeeds) {
		s := newSharedFleet(everyRule, seed)
		if s.story(); s.broken != "" {
			t.Fatalf("seed %d: %s", seed, s.broken)
		}
		acted, refused = acted+len(s.published), refused+s.refused
		settle(t, seed, s)
	}
	t.Logf("%d actions, %d plans that did not count", acted, refused)
	if acted == 0 || refused == 0 {
		t.Error("nothing of it happened")
	}
}

// settle lets everybody see everything, often enough for every phase: the fleet must come to what it should be.
func settle(t *testing.T, seed uint64, s *sharedFleet) {
	t.Helper()
	for range 12 {
		for _, shard := range []string{"", "a", "b"} {
			s.decide(shard, len(s.log))
		}
		for s.end.Ledger().Outstanding() > 0 {
			s.execute(false)
		}
	}
	left := s.decideAll(s.end.State)
	for _, h := range left.Held {
		if h.Reason != engine.ReasonRemovalBudget { // of everyone: a person has to approve it
			t.Fatalf("seed %d: %s %q is held: %s", seed, h.Type, h.ID, h.Reason)
		}
	}
	if len(left.Publish) > 0 || s.broken != "" {
		t.Fatalf("seed %d: left %+v, broken %q", seed, left.Publish, s.broken)
	}
}

func TestEachRuleOfASharedFleetIsNeeded(t *testing.T) {
	for name, rules := range map[string]sharedRules{
		"the partition in force": {sameInventory: true, fence: true},
		"the inventory in force": {samePartition: true, fence: true},
		"the shard's own fence":  {samePartition: true, sameInventory: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(sharedSeeds) {
				s := newSharedFleet(rules, seed)
				if s.story(); s.broken != "" {
					t.Logf("seed %d: %s", seed, s.broken)
					return
				}
			}
			t.Error("nothing is broken without it")
		})
	}
}
