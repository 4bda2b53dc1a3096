package explain

import (
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// strictLens looks at enforcement, and at each node as far as it stands in its way.
type strictLens struct {
	*Explainer
	nodes   map[fleet.NodeID]*marks
	desired map[fleet.NodeID]bool
	// unready is how many desired nodes are not present or cannot sign.
	unready int
	now     strictMarks
	past    past[strictMarks]
	flip    *Flip
	flies   *projection.Flight // the enforcement action that was in flight last
	planOf  lastPlan           // in which it was published
}

// strictMarks is since when what holds of enforcement.
type strictMarks struct{ strict, wanted, ready Truth }

func newStrictLens(e *Explainer) *strictLens {
	l := &strictLens{Explainer: e, nodes: make(map[fleet.NodeID]*marks), now: strictMarks{ready: Truth{Is: true}}}
	l.past.add(0, l.now)
	return l
}

func (l *strictLens) about(a fleet.Action) bool { return a.ID == "" }

func (l *strictLens) touched(c projection.Change) bool { return !c.Empty() }

func (l *strictLens) note(r eventlog.Record, c projection.Change) {
	for _, id := range c.Nodes {
		l.noteNode(id, r)
	}
	changed := false
	if c.Inventory {
		l.recount()
		changed = l.now.wanted.set(l.inventory != nil && l.inventory.RequireSig, r)
	}
	changed = l.now.ready.set(l.unready == 0, r) || changed
	if c.Ledger && r.Event != nil && r.Event.Type.IsAction() && r.Event.Node == "" {
		l.published(r)
	}
	if c.Enforcement {
		changed = l.now.strict.set(l.state.StrictEnforced(), r) || changed
		l.flip = l.flipped(r)
	}
	if changed {
		l.past.add(r.Sequence, l.now)
	}
}

func (l *strictLens) noteNode(id fleet.NodeID, r eventlog.Record) {
	m := l.nodes[id]
	if m == nil {
		m = new(marks)
		l.nodes[id] = m
	}
	was := m.ready()
	m.note(l.state, id, r)
	if l.desired[id] && was != m.ready() {
		if was {
			l.unready++
		} else {
			l.unready--
		}
	}
}

func (m *marks) ready() bool { return m != nil && m.present.Is && m.canSign.Is }

// recount begins anew with another inventory.
func (l *strictLens) recount() {
	l.desired, l.unready = make(map[fleet.NodeID]bool), 0
	if l.inventory == nil {
		return
	}
	for n := range l.inventory.Nodes() {
		if !l.desired[n.ID] && !l.nodes[n.ID].ready() {
			l.unready++
		}
		l.desired[n.ID] = true
	}
}

// published takes down an enforcement action and the plan that it came with.
func (l *strictLens) published(r eventlog.Record) {
	d := r.Event.Data.(*events.ActionRequested) // it counted
	if f, ok := l.state.Ledger().Flight(d.Action); ok {
		l.flies = &f
		l.planOf = lastPlan{}
		if f.Plan == l.plan.id {
			l.planOf = l.plan
		}
	}
}

// flipped is how the fleet became strict; nil if it is not.
func (l *strictLens) flipped(r eventlog.Record) *Flip {
	d, ok := r.Event.Data.(*events.EnforcementEnabled)
	if !ok {
		return nil
	}
	f := &Flip{Sequence: r.Sequence, Generation: d.Generation, Action: d.Action, Proofs: []Proof{}}
	if l.flies != nil && l.flies.ID == d.Action {
		f.ActionAt, f.Plan, f.PlanAt, f.Basis = l.flies.Sequence, l.flies.Plan, l.planOf.sequence, l.flies.Basis
	}
	if l.inventory == nil {
		return f
	}
	for n := range l.inventory.Nodes() {
		p := Proof{ID: n.ID}
		if m := l.nodes[n.ID]; m.ready() { // by an honest executor all are
			p.Present, p.Proved = m.present.Since, m.canSign.Since
		}
		f.Proofs = append(f.Proofs, p)
	}
	return f
}

// facts is all that decisions about enforcement are made on.
func (l *strictLens) facts() []fact {
	ledger := decide.Ledger(l.state)
	id, _, busy := ledger.InFlight("")
	if !busy {
		id = "nothing"
	}
	paused := "no"
	if _, is := l.state.Paused(fleet.Target{Scope: fleet.ScopeFleet}); is {
		paused = "yes"
	}
	list := []fact{
		{"strict", yes(l.state.StrictEnforced())}, {"wanted", yes(l.now.wanted.Is)}, {"nodes in the way", strconv.Itoa(l.unready)},
		{"in flight", string(id)}, {"fleet paused", paused},
	}
	for _, t := range []fleet.ActionType{fleet.DisableStrictEnforcement, fleet.EnableStrictEnforcement} {
		a := ledger.Attempts(fleet.Action{Type: t})
		list = append(list, fact{"failures of " + string(t), strconv.Itoa(a.Failures)}, fact{"retry of " + string(t), yes(a.Retry)})
	}
	return list
}

// why a change of enforcement was wanted at a basis.
func (l *strictLens) why(need fleet.Action, basis uint64) (string, []Cause) {
	m, known := l.past.at(basis)
	switch {
	case !known:
		return "", nil
	case need.Type == fleet.EnableStrictEnforcement && m.wanted.Is && m.ready.Is && !m.strict.Is:
		return "the inventory asks for it, and every desired node is present and can sign",
			append(m.wanted.cause("strict is wanted"), m.ready.cause("no node stands in the way")...)
	case need.Type == fleet.DisableStrictEnforcement && m.strict.Is && !m.wanted.Is:
		return "the inventory does not ask for it", append(m.strict.cause("strict"), m.wanted.cause("strict is not wanted")...)
	}
	return notAsked, nil
}

// strict is what holds now.
func (l *strictLens) strict(now time.Time, all []Pending) *Strict {
	posture := l.state.Posture()
	s := &Strict{Is: posture.Strict, Wanted: l.now.wanted.Is, Since: posture.Sequence, At: posture.Since.UTC(), Blockers: []Blocker{}, Flip: l.flip}
	if l.inventory == nil || s.Is || !s.Wanted {
		return s
	}
	s.Blockers = l.blockers(all)
	if len(s.Blockers) == 0 && l.plan.sequence > 0 && !l.plan.settled {
		s.Unsettled = l.plan.sequence
	}
	situation := engine.Situation{Desired: l.inventory, Observed: l.state.Observed(), Facts: l.state, Settled: true, Now: now}
	flip := fleet.Plan{Actions: []fleet.Action{{Type: fleet.EnableStrictEnforcement}}}
	if _, held := engine.Hold(flip, situation, decide.Safeguards(l.state)); len(held) > 0 {
		s.Held = &held[0]
	}
	return s
}

func (l *strictLens) blockers(all []Pending) []Blocker {
	list := []Blocker{}
	pending, regions := make(map[fleet.NodeID]*Pending), make(map[fleet.NodeID]string)
	for i, p := range all {
		if p.ID != "" && !p.Unwanted {
			pending[p.ID] = &all[i]
		}
	}
	for i := range l.inventory.Regions {
		for _, n := range l.inventory.Regions[i].Nodes {
			regions[n.ID] = l.inventory.Regions[i].Name
		}
	}
	for _, b := range engine.Blocking(l.inventory, l.state.Observed()) {
		m := l.nodes[b.ID]
		if m == nil {
			m = new(marks)
		}
		out := Blocker{
			ID: b.ID, Region: regions[b.ID], Reason: b.Why, Present: m.present, CanSign: m.canSign,
			Absence: absence(l.state, b.ID), Pending: pending[b.ID],
		}
		out.Unsigned, out.Challenge = m.unsigned(l.state, b.ID)
		list = append(list, out)
	}
	return list
}
