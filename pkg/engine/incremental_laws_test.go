package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// changing is a fleet that changes bit by bit, told to an Incremental as it does
// and laid before Reconcile and Hold as a whole.
type changing struct {
	desired  *fleet.Inventory
	observed fleet.ObservedState
	order    map[fleet.NodeID]uint64 // of the observed
	lost     map[fleet.NodeID]bool
	next     uint64
	told     *engine.Incremental
}

// LostAt and the others make of a changing fleet the facts of Hold.
func (c *changing) LostAt(id fleet.NodeID) (time.Time, bool) { return noon, c.lost[id] }

func (c *changing) FlapPenalty(id fleet.NodeID, _ time.Time, _ time.Duration) float64 {
	return float64(len(id) % 5)
}

func (c *changing) Paused(t fleet.Target) (fleet.Pause, bool) {
	return fleet.Pause{Target: t, Actor: "kim"}, t.Region == "paused" || t.ID == "n/3"
}

func (c *changing) RemovalApproved(id fleet.NodeID) bool { return id > "n/1" }

func drawID(t *rapid.T) fleet.NodeID {
	return fleet.NodeID(fmt.Sprint("n/", rapid.IntRange(0, 12).Draw(t, "node")))
}

// apply puts another inventory into force: what was told is told again.
func (c *changing) apply(t *rapid.T) {
	c.desired = &fleet.Inventory{RequireSig: rapid.Bool().Draw(t, "require_sig"), QuorumWidth: rapid.IntRange(0, 4).Draw(t, "quorum")}
	one := rapid.Map(rapid.IntRange(0, 12), func(n int) fleet.NodeID { return fleet.NodeID(fmt.Sprint("n/", n)) })
	for _, id := range rapid.SliceOfNDistinct(one, 0, 12, rapid.ID).Draw(t, "desired") {
		if len(c.desired.Regions) == 0 || rapid.IntRange(0, 2).Draw(t, "new region") == 0 {
			name := rapid.SampledFrom([]string{"a", "b", "paused"}).Draw(t, "region")
			c.desired.Regions = append(c.desired.Regions, fleet.Region{Name: name})
		}
		last := &c.desired.Regions[len(c.desired.Regions)-1]
		last.Nodes = append(last.Nodes, fleet.Node{ID: id})
	}
	c.told = engine.NewIncremental(index.NewInventory(c.desired))
	c.told.Enforced(c.observed.StrictEnforced)
	for _, n := range rapid.Permutation(c.observed.Nodes).Draw(t, "told in the order") {
		c.tell(n)
	}
}

func (c *changing) tell(n fleet.ObservedNode) {
	c.told.Observe(engine.Observation{ObservedNode: n, Order: c.order[n.ID], Lost: c.lost[n.ID]})
}

func (c *changing) at(id fleet.NodeID) int {
	return slices.IndexFunc(c.observed.Nodes, func(n fleet.ObservedNode) bool { return n.ID == id })
}

// observe gives a node some state; one that was not observed stands last.
func (c *changing) observe(t *rapid.T) {
	often := rapid.Map(rapid.IntRange(0, 3), func(n int) bool { return n > 0 })
	n := fleet.ObservedNode{ID: drawID(t), Present: often.Draw(t, "present"), CanSign: often.Draw(t, "can_sign")}
	if at := c.at(n.ID); at >= 0 {
		c.observed.Nodes[at] = n
	} else {
		c.next += uint64(rapid.IntRange(1, 3).Draw(t, "later by"))
		c.order[n.ID] = c.next
		c.observed.Nodes = append(c.observed.Nodes, n)
	}
	c.lost[n.ID] = !n.Present && often.Draw(t, "lost")
	c.tell(n)
}

// remove ends a node's life. Whoever looks seldom may only see that it is there
// again, and stands last.
func (c *changing) remove(t *rapid.T) {
	id := drawID(t)
	at := c.at(id)
	if at < 0 || rapid.Bool().Draw(t, "for good") {
		c.observed.Nodes = slices.DeleteFunc(c.observed.Nodes, func(n fleet.ObservedNode) bool { return n.ID == id })
		delete(c.lost, id)
		delete(c.order, id)
		c.told.Forget(id)
		return
	}
	n := c.observed.Nodes[at]
	c.next++
	c.order[id] = c.next
	c.observed.Nodes = append(slices.Delete(c.observed.Nodes, at, at+1), n)
	c.tell(n)
}

func (c *changing) flip(t *rapid.T) {
	c.observed.StrictEnforced = rapid.Bool().Draw(t, "strict")
	c.told.Enforced(c.observed.StrictEnforced)
}

// The law of the incremental form: whatever happens to a fleet, in whatever order
// it is told, each decision is that of the rules on the whole fleet.
func TestDecidingBitByBitIsDecidingAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &changing{order: make(map[fleet.NodeID]uint64), lost: make(map[fleet.NodeID]bool)}
		c.apply(t)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				c.apply(t)
			case 1:
				c.flip(t)
			case 2, 3:
				c.remove(t)
			default:
				c.observe(t)
			}
			c.check(t)
		}
	})
}

func (c *changing) check(t *rapid.T) {
	want := engine.Reconcile(c.desired, &c.observed)
	if diff := cmp.Diff(want, c.told.Reconcile()); diff != "" {
		t.Fatalf("plan (-at once +bit by bit):\n%s", diff)
	}
	s := engine.Situation{
		Desired: c.desired, Observed: &c.observed, Facts: c, Settled: rapid.IntRange(0, 3).Draw(t, "settled") > 0,
		Waiting: "for someone", Now: noon.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "seconds")) * time.Second),
	}
	g := engine.DefaultSafeguards()
	g.BlindFraction = rapid.SampledFrom([]float64{0, 0.2, 0.55, 1}).Draw(t, "blind fraction")
	g.BlindMin, g.RemovalMin = rapid.IntRange(1, 4).Draw(t, "blind min"), rapid.IntRange(0, 3).Draw(t, "removal min")
	allowed, held := engine.Hold(want, s, g)
	s.Desired, s.Observed = nil, nil
	again, allowedNow, heldNow := c.told.Decide(s, g)
	if diff := cmp.Diff([]any{want, allowed, held}, []any{again, allowedNow, heldNow}); diff != "" {
		t.Fatalf("held (-at once +bit by bit):\n%s", diff)
	}
}
