package projection

import (
	"cmp"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Flight is a published action without an outcome.
type Flight struct {
	Action fleet.Action
	ID     fleet.ActionID
	// Plan it was published in, at place Step of Steps, decided on the log up to
	// Basis. Zero when the event does not say.
	Plan     fleet.PlanID
	Sequence uint64
	Step     int
	Steps    int
	// Attempt counts from 1 for this need at this Epoch and Generation.
	Attempt                  int
	Epoch, Generation, Basis uint64
	// At is when the log stored the action.
	At time.Time
	// Shard whose planner published it; empty in a fleet that was one then.
	Shard string
}

// Attempts is what was tried for one need, at one epoch and generation.
type Attempts struct {
	// Published is the number of the newest attempt.
	Published int
	// Failures counts consecutive failures: a success, a new epoch or a new
	// generation makes it 0, a refusal leaves it.
	Failures int
	// LastOutcome is when the newest outcome was stored; zero for none.
	LastOutcome time.Time
	// LastRefused says that the newest outcome was a refusal.
	LastRefused bool
	// LastError says why the newest outcome was no success, "reason: detail".
	LastError         string
	Epoch, Generation uint64
	// Retry says that a person does not want the next attempt to wait; the next
	// attempt makes it false.
	Retry bool
}

// Ledger is the account of the published actions. Its size follows the state
// and not the history: the actions in flight, and one entry for each need.
type Ledger struct {
	ids     *cells    // shared with the State: those of which a fact told have their attempts there
	flights []*Flight // in stream order
	byID    map[fleet.ActionID]*Flight
	busy    map[fleet.NodeID]queue // by node; "" is the fleet
	// strangers are the attempts at ids of which no fact told, such as the fleet.
	strangers map[fleet.Action]Attempts
	packer    packer
	phases    phases
	shards    map[string]int // how many flights of each
}

// queue is the flights of one node: nearly always one.
type queue struct {
	oldest *Flight
	length int
}

func newLedger(ids *cells) Ledger {
	return Ledger{
		ids:       ids,
		byID:      make(map[fleet.ActionID]*Flight),
		busy:      make(map[fleet.NodeID]queue),
		strangers: make(map[fleet.Action]Attempts),
		phases:    make(phases),
		shards:    make(map[string]int),
	}
}

// Outstanding is how many actions are in flight.
func (l *Ledger) Outstanding() int { return len(l.flights) }

// OutstandingOf is how many actions of a shard are in flight.
func (l *Ledger) OutstandingOf(shard string) int { return l.shards[shard] }

// Flights lists the actions in flight, in stream order.
func (l *Ledger) Flights() []Flight {
	list := make([]Flight, len(l.flights))
	for i, f := range l.flights {
		list[i] = *f
	}
	return list
}

// Flight returns an action that is in flight.
func (l *Ledger) Flight(id fleet.ActionID) (Flight, bool) {
	f := l.byID[id]
	if f == nil {
		return Flight{}, false
	}
	return *f, true
}

// InFlight is the oldest action in flight for a node; the empty id asks for
// the enforcement actions.
func (l *Ledger) InFlight(id fleet.NodeID) (fleet.ActionID, fleet.ActionType, bool) {
	f := l.busy[id].oldest
	if f == nil {
		return "", "", false
	}
	return f.ID, f.Action.Type, true
}

// Epoch is the present epoch of a node id, 1 for one never heard of. The fleet,
// the empty id, has one life only.
func (l *Ledger) Epoch(id fleet.NodeID) uint64 { return l.ids.get(id).epochNow() }

// Attempts is what was tried for a need, at the newest epoch and generation it
// was tried at. The zero value means never.
func (l *Ledger) Attempts(need fleet.Action) Attempts {
	a, _ := l.account(need)
	return a
}

// AttemptsAt is what was tried for a need at that epoch and generation. What
// was tried at another counts for nothing.
func (l *Ledger) AttemptsAt(need fleet.Action, epoch, generation uint64) Attempts {
	if a := l.Attempts(need); a.Epoch == epoch && a.Generation == generation {
		return a
	}
	return Attempts{}
}

// begin takes an action into flight, unless it belongs to another epoch or was
// published before: an action can have one outcome only, so a repetition would
// stay in flight for ever.
func (l *Ledger) begin(f Flight) bool {
	if l.byID[f.ID] != nil || f.Epoch != l.Epoch(f.Action.ID) {
		return false
	}
	begun := l.change(f.Action, func(past *Attempts, _ bool) bool {
		if past.Epoch != f.Epoch || past.Generation < f.Generation {
			*past = Attempts{Epoch: f.Epoch, Generation: f.Generation}
		}
		if f.Generation < past.Generation || f.Attempt <= past.Published || f.Attempt-past.Published > maxLeap {
			return false
		}
		past.Published, past.Retry = f.Attempt, false
		return true
	})
	if begun {
		l.fly(f)
	}
	return begun
}

// fly adds a flight behind all others.
func (l *Ledger) fly(f Flight) {
	l.flights = append(l.flights, &f)
	l.byID[f.ID] = &f
	l.phases.add(&f, 1)
	l.shards[f.Shard]++
	q := l.busy[f.Action.ID]
	if q.length++; q.oldest == nil {
		q.oldest = &f
	}
	l.busy[f.Action.ID] = q
}

// land ends the flight of an action. It is nil when there is none, such as for
// a second outcome.
func (l *Ledger) land(id fleet.ActionID) *Flight {
	f := l.byID[id]
	if f == nil {
		return nil
	}
	delete(l.byID, id)
	at, _ := slices.BinarySearchFunc(l.flights, f.Sequence, func(have *Flight, seq uint64) int {
		return cmp.Compare(have.Sequence, seq)
	})
	l.flights = slices.Delete(l.flights, at, at+1)
	l.phases.add(f, -1)
	if l.shards[f.Shard]--; l.shards[f.Shard] == 0 {
		delete(l.shards, f.Shard)
	}
	l.dequeue(f)
	return f
}

func (l *Ledger) dequeue(f *Flight) {
	id := f.Action.ID
	q := l.busy[id]
	if q.length--; q.length == 0 {
		delete(l.busy, id)
		return
	}
	if q.oldest == f {
		next := slices.IndexFunc(l.flights, func(have *Flight) bool { return have.Action.ID == id })
		q.oldest = l.flights[next]
	}
	l.busy[id] = q
}

// note enters an outcome into the account of its need, if that still stands at
// the action's epoch and generation.
func (l *Ledger) note(f *Flight, change func(*Attempts)) {
	l.change(f.Action, func(a *Attempts, known bool) bool {
		if !known || a.Epoch != f.Epoch || a.Generation != f.Generation {
			return false
		}
		change(a)
		return true
	})
}
