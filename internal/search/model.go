package search

import (
	"cmp"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Model is one small world: the inventories that may come into force, how much
// may go wrong, and which guard is missing.
type Model struct {
	// Name and About tell people which world it is.
	Name, About string
	// Inventories that may be applied, each any number of times.
	Inventories []*fleet.Inventory
	// Safeguards that planners hold by.
	Safeguards engine.Safeguards
	// Pausable is what people may pause, and Approvals whether they may approve.
	Pausable  []fleet.Target
	Approvals bool
	// Changes is how often the world may change: a node lost, back or without
	// its key, another inventory, a pause, its end, an approval. Faults is how often a crash, a lost
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

// breaks notes what the newest step broke, unless it broke something already.
func (a *steps) breaks(promise string) {
	if newest := &a.out[len(a.out)-1]; newest.broken == "" {
		newest.broken = promise
	}
}

func (a *steps) without(g Guard) bool { return a.Without == g }
