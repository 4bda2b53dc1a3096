//go:build benchgate

package benchgate

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// cost is how long one of n calls takes, in the best of some rounds: what
// disturbs a round only makes it longer.
func cost(n int, call func()) float64 {
	best := time.Duration(1<<63 - 1)
	for range 7 {
		began := time.Now()
		for range n {
			call()
		}
		best = min(best, time.Since(began))
	}
	return float64(best) / float64(n)
}

// atMost fails when one cost is more than so many times another.
func atMost(t *testing.T, limit float64, what string, one, other float64) {
	t.Helper()
	ratio := one / other
	t.Logf("%s: %.3g (at most %.3g)", what, ratio, limit)
	if ratio > limit {
		t.Errorf("%s: the ratio is %.3g, and at most %.3g is allowed", what, ratio, limit)
	}
}

const small, large = 1_000, 100_000

func given() decide.Given {
	return decide.Given{Settled: true, Now: noon, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy()}
}

// A table of a hundred thousand does not fit into the near caches, which costs two
// to three times as much; what is worse than linear costs a hundred times as much.
func TestReconcileIsLinear(t *testing.T) {
	perNode := func(nodes, calls int) float64 {
		s := newSite(t, nodes)
		observed := s.shuffled()
		var r engine.Reconciler
		return cost(calls, func() {
			if plan := r.Reconcile(s.desired.Inventory, observed); !plan.Empty() {
				t.Fatal(plan.Actions)
			}
		}) / float64(nodes)
	}
	atMost(t, 8, "a node of 100000 to one of 1000", perNode(large, 3), perNode(small, 300))
}

// Who is who is found out once: from then on only that it is still so.
func TestReconcileOfTheSameNodesLooksNobodyUp(t *testing.T) {
	s := newSite(t, large)
	var again, anew engine.Reconciler
	observed, turned := s.shuffled(), s.shuffled()
	slices.Reverse(turned.Nodes)
	next := func() *fleet.ObservedState { observed, turned = turned, observed; return turned }
	atMost(t, 0.3, "a fleet that was seen to one in another order", cost(10, func() { again.Reconcile(s.desired.Inventory, observed) }),
		cost(10, func() { anew.Reconcile(s.desired.Inventory, next()) }))
}

func TestReconcileOfAConvergedFleetAllocatesNothing(t *testing.T) {
	s := newSite(t, small)
	observed := s.shuffled()
	var r engine.Reconciler
	for name, decision := range map[string]func(*fleet.Inventory, *fleet.ObservedState) fleet.Plan{
		"kept": r.Reconcile, "lent": engine.Reconcile,
	} {
		if n := testing.AllocsPerRun(100, func() { decision(s.desired.Inventory, observed) }); n != 0 {
			t.Errorf("%s scratch memory: %v allocations, want 0", name, n)
		}
	}
}

// The whole decision after one fact: hundreds of times cheaper than asking of
// everybody, and hardly dearer in a large fleet than in a small one.
func TestADecisionCostsWhatChanged(t *testing.T) {
	changed := func(s *site) float64 {
		var x decide.Incremental
		return cost(2_000, func() {
			s.change(t)
			x.Plan(s.state, s.desired, given())
		})
	}
	one, many := newSite(t, small), newSite(t, large)
	again := changed(many)
	all := cost(2, func() {
		many.change(t)
		decide.Plan(many.state, many.desired.Inventory, given())
	})
	atMost(t, 0.02, "deciding on what changed to deciding on all of 100000", again, all)
	atMost(t, 10, "deciding on a change in 100000 to one in 1000", again, changed(one))
}

func TestADecisionOnAChangeAllocatesLittle(t *testing.T) {
	s := newSite(t, small)
	var x decide.Incremental
	if n := testing.AllocsPerRun(1_000, func() {
		s.change(t)
		x.Plan(s.state, s.desired, given())
	}); n > 25 {
		t.Errorf("%v allocations, want at most 25", n)
	}
}

func TestTheFoldIsLinear(t *testing.T) {
	perEvent := func(nodes, calls int) float64 {
		all := enrolments(nodes)
		return cost(calls, func() { folded(t, all) }) / float64(len(all))
	}
	atMost(t, 8, "an event of 100000 nodes to one of 1000", perEvent(large, 1), perEvent(small, 50))
}

func TestTheFoldAllocatesLittle(t *testing.T) {
	all := enrolments(small)
	n := testing.AllocsPerRun(5, func() { folded(t, all) }) / float64(len(all))
	t.Logf("%.2f allocations for an event", n)
	if n > 2.5 {
		t.Errorf("%.2f allocations for an event, want at most 2.5", n)
	}
}

// Renewals are what a log has most of: whatever a fold needs for them it has after
// a few. What grows are lists of many events at a time.
func TestTheFoldOfRenewalsAllocatesNothing(t *testing.T) {
	r := newRenewals(t, small)
	all := 0
	n := testing.AllocsPerRun(20, func() { all = r.next(t) })
	t.Logf("%v allocations for %d events", n, all)
	if n > float64(all)/100 {
		t.Errorf("%v allocations for %d events, want at most one for a hundred", n, all)
	}
}

// The floor is to find what is kept of the event's node in a map, and to note the
// sequence: a fold that takes apart and puts together all of it costs many times that.
func TestAnEventCostsLittleMoreThanItsNode(t *testing.T) {
	r := newRenewals(t, 2*small)
	type kept struct {
		last uint64
		_    [240]byte
	}
	nodes := make(map[fleet.NodeID]*kept)
	for _, e := range r.rounds[0] {
		nodes[e.Node] = new(kept)
	}
	floor := cost(5, func() {
		for i, e := range r.rounds[0] {
			nodes[e.Node].last = uint64(i)
		}
	})
	atMost(t, 40, "folding renewals to finding their nodes", cost(1, func() { r.next(t) }), floor)
}

// What is kept of a node that is present and signs, besides its certificate.
func TestANodeTakesFewBytes(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := projection.New()
	for n := range large {
		for _, e := range enrolment(n) {
			if _, err := s.Apply(s.Sequence()+1, noon, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	bytes := float64(after.HeapAlloc-before.HeapAlloc) / large
	t.Logf("%.0f bytes of state a node", bytes)
	if bytes > 400 {
		t.Errorf("%.0f bytes of state a node, want at most 400", bytes)
	}
	runtime.KeepAlive(s)
}

// Whoever folds waits for it when a snapshot is taken.
func TestHoldingStillIsCheaperThanFolding(t *testing.T) {
	all := enrolments(large)
	s := folded(t, all)
	atMost(t, 0.01, "holding 100000 still to folding them", cost(3, func() { s.Still() }), cost(1, func() { folded(t, all) }))
}
