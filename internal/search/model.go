package search

import (
	"cmp"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Model is one small world: the inventories that may come into force, how much
// may go wrong, and which guard is missing.
type Model struct {
	// Name and About tell people which world it is.
	Name, About string
	// Inventories that may be applied, each any number of times.
	Inventories []*fleet.Inventory
	// Changes is how often the world may change: a node lost, back or without
	// its key, another inventory. Faults is how often a crash, a lost
	// acknowledgement, a redelivery or a failing handler may happen.
	Changes, Faults uint8
	// Without is the guard taken out.
	Without Guard

	begin state
	folds int
	quiet bool
	// cut says that a log became too long to go on.
	cut bool
	// stored counts the steps that put an event of a type on the log; outcomes
	// are counted by the type of their action as well.
	stored map[string]int
}

// state is everything that is not forgotten between two steps. It is compared
// as a whole: two states are the same if their logs and all else are.
type state struct {
	log *prefix
	// acked has a bit for each sequence of an acknowledged action.
	acked           uint64
	runs            [2]run
	nodes           [len(ids)]node
	changes, faults uint8
}

// maxLog is how long a log may become, for acked has no more bits; longest is
// the longest batch there is.
const maxLog, longest = 63, 6

// node is how a node really is, whatever the log says.
type node struct {
	alive bool
	// session and key count from 1; serial is the sequence of the
	// credential.issued that the agent holds and has proved, 0 for none.
	session, key, serial uint8
}

// run is one executor that carries out one action.
type run struct {
	// action is the sequence of the action; 0 is a free executor.
	action uint8
	stage  stage
	// basis is the sequence decided on, or closing facts were made on; serial
	// the sequence of the credential that this run issued.
	basis, serial uint8
}

type stage uint8

const (
	idle     stage = iota
	refusing       // decided that the action is not wanted
	awaiting       // enrol: until the node is present
	issuing        // about to make a credential
	proving        // credential issued, until it is proved
	stopping       // decommission: the agent is to go
	closing        // handler is done: facts and outcome are to be stored
)

// canonical orders the runs: executors are alike. swapped says that it did.
func (s state) canonical() (c state, swapped bool) {
	x, y := s.runs[0], s.runs[1]
	order := cmp.Or(cmp.Compare(x.action, y.action), cmp.Compare(x.stage, y.stage),
		cmp.Compare(x.basis, y.basis), cmp.Compare(x.serial, y.serial))
	if order > 0 {
		s.runs[0], s.runs[1] = y, x
		return s, true
	}
	return s, false
}

// move is one step and where it leads.
type move struct {
	to state
	// executor is the run that moved, -1 for anybody else.
	executor int
	what     string
	// broken says which promise the step broke; empty for none.
	broken string
}

// steps is what can happen in a state.
type steps struct {
	*Model
	from  state
	facts *facts // of the whole log
	out   []move
}

// moves lists all steps, always in the same order.
func (m *Model) moves(s state, into []move) []move {
	all := &steps{Model: m, from: s, facts: m.facts(s.log), out: into[:0]}
	if s.log.seq+longest > maxLog {
		m.cut = true
		return all.out
	}
	all.planners()
	all.sensors()
	for i := range s.runs {
		all.executor(i)
	}
	all.world()
	return all.out
}

// add enters a step that ended in to. It is here that promises are checked.
func (a *steps) add(executor int, to state, format string, args ...any) {
	m := move{to: to, executor: executor, broken: a.check(a.from, to)}
	if !a.quiet {
		m.what = fmt.Sprintf(format, args...)
	}
	a.out = append(a.out, m)
}

func (a *steps) without(g Guard) bool { return a.Without == g }

// world changes, as long as it may.
func (a *steps) world() {
	if a.from.changes == 0 {
		return
	}
	for i, id := range ids {
		n := a.from.nodes[i]
		switch {
		case n.alive:
			a.change(i, node{session: n.session, key: n.key, serial: n.serial}, "node %s dies", id)
			a.change(i, node{alive: true, session: n.session + 1, key: n.key + 1}, "node %s starts anew and has lost its key", id)
		case n.session > 0:
			a.change(i, node{alive: true, session: n.session + 1, key: n.key, serial: n.serial}, "node %s comes back", id)
		}
	}
	for i, inv := range a.Inventories {
		if inv == a.facts.inventory {
			continue
		}
		to := a.from
		to.changes--
		to.log = to.log.then(inventoryApplied(i, a.facts.ref.Generation+1))
		a.add(-1, to, "the operator applies inventory %d: %s", i, describe(inv))
	}
}

func (a *steps) change(i int, n node, format string, id fleet.NodeID) {
	to := a.from
	to.changes--
	to.nodes[i] = n
	a.add(-1, to, format, id)
}

func inventoryApplied(i int, generation uint64) *events.Event {
	return &events.Event{
		ID: fmt.Sprint(i), Source: events.SourceOperator, Type: events.TypeInventoryApplied, Time: stored,
		Data: &events.InventoryApplied{Digest: fmt.Sprint(i), Generation: generation, Actor: "operator"},
	}
}
