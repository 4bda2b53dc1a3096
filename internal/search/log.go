package search

import (
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// ids are the nodes of the small fleet.
var ids = [...]fleet.NodeID{"a", "b"}

var (
	subjects = events.DefaultSubjects()
	// stored is when the log stored everything, decided when a planner looks:
	// so late that every backoff is over, for waiting only allows less.
	stored  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	decided = stored.Add(7 * 24 * time.Hour)
)

// prefix is a beginning of a log. Two logs that begin alike share it, so that
// equal logs are one pointer and each is folded once.
type prefix struct {
	parent  *prefix
	seq     uint64
	event   *events.Event
	subject string
	plan    *prefix // the newest plan.decided up to here
	next    map[string]*prefix
	known   *facts // made when first asked for
}

// then is the prefix with one more event.
func (p *prefix) then(e *events.Event) *prefix {
	key := string(e.Type) + "|" + e.ID
	if next := p.next[key]; next != nil {
		return next
	}
	subject, err := subjects.Of(e)
	if err != nil {
		panic(err) // the model makes an event that the registry does not know
	}
	next := &prefix{parent: p, seq: p.seq + 1, event: e, subject: subject, plan: p.plan}
	if e.Type == events.TypePlanDecided {
		next.plan = next
	}
	if p.next == nil {
		p.next = make(map[string]*prefix)
	}
	p.next[key] = next
	return next
}

// at is the prefix up to a sequence that is not beyond p.
func (p *prefix) at(seq uint64) *prefix {
	for p.seq > seq {
		p = p.parent
	}
	return p
}

// lastOn is the newest sequence on a subject, 0 for none.
func (p *prefix) lastOn(subject string) uint64 {
	for ; p.parent != nil; p = p.parent {
		if p.subject == subject {
			return p.seq
		}
	}
	return 0
}

func (p *prefix) hasOutcome(id fleet.ActionID) bool { return p.lastOn(subjects.Outcome(id)) > 0 }

// insidePlan says that the prefix ends between plan.decided and the last of
// the plan's actions.
func (p *prefix) insidePlan() bool {
	return p.plan != nil && p.seq < p.plan.seq+uint64(len(planOf(p.plan).Actions))
}

func planOf(p *prefix) *events.PlanDecided { return p.event.Data.(*events.PlanDecided) }

// entry is one event to append and its condition, as in eventlog.Entry.
type entry struct {
	event *events.Event
	fence fence
}

type fence struct {
	kind fenceKind
	seq  uint64
}

type fenceKind int

const (
	none fenceKind = iota
	lastOnSubject
	lastInLog
)

// append stores all entries or, when a fence does not hold, none. Fences are
// compared with the log before the batch, as the server does.
func (p *prefix) append(entries []entry) (after *prefix, ok bool) {
	for _, e := range entries {
		switch e.fence.kind {
		case lastOnSubject:
			subject, err := subjects.Of(e.event)
			if err != nil || p.lastOn(subject) != e.fence.seq {
				return p, false
			}
		case lastInLog:
			if p.seq != e.fence.seq {
				return p, false
			}
		}
	}
	for _, e := range entries {
		p = p.then(e.event)
	}
	return p, true
}

// facts is what everybody wants to know of one fold.
type facts struct {
	inventory *fleet.Inventory // nil before the first
	ref       projection.InventoryRef
	lastPlan  uint64
	observed  fleet.ObservedState
	steps     []engine.Step
	flights   map[fleet.ActionID]flight
	nodes     [len(ids)]nodeFacts
}

type flight struct {
	projection.Flight
	// wanted is the second decision, asked whether a running handler goes on.
	wanted, asked bool
}

type nodeFacts struct {
	projection.Node
	known bool
	epoch uint64
	last  uint64
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
	seen := state.Observed()
	f.observed = fleet.ObservedState{Nodes: append([]fleet.ObservedNode(nil), seen.Nodes...), StrictEnforced: seen.StrictEnforced}
	for i, id := range ids {
		n := &f.nodes[i]
		n.Node, n.known = state.Node(id)
		n.epoch, n.last = state.Ledger().Epoch(id), state.LastNode(id)
	}
	if f.ref.Digest == "" {
		return f
	}
	f.inventory = m.inventory(f.ref.Digest)
	plan := engine.Reconcile(f.inventory, seen)
	generation := f.ref.Generation
	f.steps = engine.Dispatch(plan, ledger{state.Ledger(), generation}, generation, engine.DefaultPolicy(), decided).Publish
	for _, have := range state.Ledger().Flights() {
		f.flights[have.ID] = flight{
			have, wanted(state, f.inventory, have.Action), stillAsked(state, f.inventory, have.Action),
		}
	}
	return f
}

func (m *Model) inventory(digest string) *fleet.Inventory {
	i, err := strconv.Atoi(digest)
	if err != nil {
		panic(err) // the model makes the digests itself
	}
	return m.Inventories[i]
}

// ledger is what the planner wraps the projection's ledger in.
type ledger struct {
	*projection.Ledger
	generation uint64
}

func (l ledger) Attempts(need engine.Need) engine.Attempts {
	a := l.AttemptsAt(need, l.Epoch(need.ID), l.generation)
	return engine.Attempts{
		Published: a.Published, Failures: a.Failures, LastOutcome: a.LastOutcome, LastRefused: a.LastRefused,
	}
}

// wanted is the executor's second decision: engine.Reconcile, shown only the
// action's own node.
func wanted(s *projection.State, inv *fleet.Inventory, a fleet.Action) bool {
	if !a.Type.ConcernsNode() {
		return engine.Reconcile(inv, s.Observed()).Has(a)
	}
	var desired fleet.Inventory
	if node := inv.Find(a.ID); node != nil {
		desired.Regions = []fleet.Region{{Nodes: []fleet.Node{*node}}}
	}
	var observed fleet.ObservedState
	if node, ok := s.Node(a.ID); ok {
		observed.Nodes = []fleet.ObservedNode{{ID: a.ID, Present: node.Present, CanSign: s.CanSign(a.ID)}}
	}
	return engine.Reconcile(&desired, &observed).Has(a)
}

// stillAsked says whether a running handler is let go on.
func stillAsked(s *projection.State, inv *fleet.Inventory, a fleet.Action) bool {
	if !a.Type.ConcernsNode() {
		return wanted(s, inv, a)
	}
	return (inv.Find(a.ID) != nil) == (a.Type != fleet.DecommissionNode)
}
