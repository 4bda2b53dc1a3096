package search

import (
	"strconv"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// facts is what everybody wants to know of one fold.
type facts struct {
	inventory *fleet.Inventory // nil before the first
	ref       projection.InventoryRef
	lastPlan  uint64
	// settled is what a planner publishes, careful what one does that has not yet
	// seen every node which the log calls present, and unheld what one would that
	// does not ask Hold.
	settled, careful, unheld offer
	// approval is what a person would have to approve; empty for nothing.
	approval fleet.ApprovalID
	paused   bool // the fleet
	flights  map[fleet.ActionID]flight
	nodes    [len(ids)]nodeFacts
}

// offer is a plan to publish.
type offer struct {
	plan  fleet.PlanID
	steps []engine.Step
	// broken is the promise that publishing it would break; empty for none.
	broken string
}

type flight struct {
	projection.Flight
	// wanted and held are the second decision; asked is whether a running
	// handler goes on.
	wanted, asked bool
	held          fleet.Reason // empty: it may begin
}

type nodeFacts struct {
	projection.Node
	known  bool
	epoch  uint64
	last   uint64
	paused bool
	// approved: its removal is, if the inventory does not name it.
	approved bool
}

// node is what is known of one of ids.
func (f *facts) node(id fleet.NodeID) *nodeFacts {
	at := 0
	for ids[at] != id {
		at++
	}
	return &f.nodes[at]
}

// facts folds the prefix with the real projection and asks the real engine.
func (m *Model) facts(p *prefix) *facts {
	if p.known == nil {
		p.known = m.conclude(m.fold(p))
	}
	return p.known
}

func (m *Model) fold(p *prefix) *projection.State {
	chain := make([]*events.Event, p.seq)
	for at := p; at.parent != nil; at = at.parent {
		chain[at.seq-1] = at.event
	}
	state := projection.New()
	for i, e := range chain {
		if _, err := state.Apply(uint64(i)+1, stored, e); err != nil {
			panic(err) // the model's log has no gaps
		}
	}
	m.folds++
	return state
}

func (m *Model) conclude(state *projection.State) *facts {
	f := &facts{ref: state.Inventory(), lastPlan: state.LastPlan(), flights: make(map[fleet.ActionID]flight)}
	_, f.paused = state.Paused(everything)
	for i, id := range ids {
		n := &f.nodes[i]
		n.Node, n.known = state.Node(id)
		n.epoch, n.last, n.approved = state.Ledger().Epoch(id), state.LastNode(id), state.RemovalApproved(id)
		_, n.paused = state.Paused(only(id))
	}
	if f.ref.Digest != "" {
		f.inventory = m.inventory(f.ref.Digest)
		m.plan(f, state)
		m.planAgain(f, state)
	}
	return f
}

// plan is what planners decide on the fold.
func (m *Model) plan(f *facts, state *projection.State) {
	given := decide.Given{Settled: true, Now: decided, Safeguards: m.Safeguards, Policy: engine.DefaultPolicy()}
	d := decide.Plan(state, f.inventory, given)
	f.settled = m.offer(f, d.Publish)
	f.unheld = m.offer(f, engine.Dispatch(d.Plan, decide.Ledger(state), f.ref.Generation, given.Policy, decided).Publish)
	f.approval, _ = engine.NeedsApproval(d.Plan, engine.Situation{
		Desired: f.inventory, Observed: state.Observed(), Facts: state, Settled: true, Now: decided,
	}, m.Safeguards)
	given.Settled = false
	f.careful = m.offer(f, decide.Plan(state, f.inventory, given).Publish)
}

func (m *Model) offer(f *facts, steps []engine.Step) offer {
	return offer{engine.PlanIDFor(steps), steps, m.checkPublish(f, steps)}
}

// planAgain is what executors decide on the fold.
func (m *Model) planAgain(f *facts, state *projection.State) {
	desired := decide.NewDesired(f.inventory)
	var holds decide.Holds
	for _, have := range state.Ledger().Flights() {
		a := have.Action
		held, _ := holds.Of(state, desired, a)
		f.flights[have.ID] = flight{have, decide.Wanted(state, desired, a), decide.StillAsked(state, desired, a), held.Reason}
	}
}

func (m *Model) inventory(digest string) *fleet.Inventory {
	i, err := strconv.Atoi(digest)
	if err != nil {
		panic(err) // the model makes the digests itself
	}
	return m.Inventories[i]
}
