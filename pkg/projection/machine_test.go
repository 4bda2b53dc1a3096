package projection_test

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// foldMachine hands each message to the fold and to the oracle, and compares
// all that the two answer.
type foldMachine struct {
	state *projection.State
	log   chronicle
	facts answers        // of the oracle, before the next message
	count map[string]int // what counted for nothing, by type
	// silent: the oracle is not asked; the machine only makes histories.
	silent bool
	dress  dress
	held   []held
}

// answers is all that a state is asked for decisions, told of the few ids that
// the machine draws.
type answers struct {
	Observed    fleet.ObservedState
	Enforcement fleet.ActionID
	Inventory   projection.InventoryRef
	Trust       []string
	Posture     projection.Posture
	Revoked     []projection.Revoked
	Pauses      []fleet.Pause
	Approvals   []projection.Approval
	Rotations   []projection.Rotation
	Flights     []projection.Flight
	Attempts    map[fleet.Action]projection.Attempts
	Nodes       map[fleet.NodeID]nodeAnswers
	Partition   projection.PartitionRef
	Outstanding map[string]int
}

type nodeAnswers struct {
	Observed, MayBeRemoved, Lost, CanSign, Busy bool

	Node           projection.Node
	RotationDue    projection.Rotation // in region "a"
	Epoch          uint64
	RemovedAt      time.Time
	LostAt         time.Time
	Losses         float64 // as of midnight, when none has decayed
	PenaltyHalfway float64 // as of the middle of the log
	Flying         fleet.ActionID
	FlyingType     fleet.ActionType
}

// place is what is asked about the log rather than about the fleet.
type place struct {
	Sequence   uint64
	Unfit      int
	Ignored    map[string]int
	InsidePlan bool
	Safeguards events.HoldSafeguards

	Plan, Enforcement, Inventory, Trust uint64
	Nodes                               map[fleet.NodeID]uint64
	Partition                           uint64
	Plans                               map[string]uint64 // by shard
}

const lawHalfLife = 3 * time.Second

func halfway(seq uint64) time.Time { return storedAt(seq / 2) }

func answersOf(s *projection.State) answers {
	a := answers{
		Observed:    fleet.ObservedState{Nodes: append([]fleet.ObservedNode{}, s.Observed().Nodes...), StrictEnforced: s.StrictEnforced()},
		Enforcement: s.EnforcementAction(), Inventory: s.Inventory(), Pauses: s.Pauses(), Rotations: s.Rotations(),
		Approvals: append([]projection.Approval{}, s.Approvals()...), Flights: s.Ledger().Flights(),
		Posture: s.Posture(), Revoked: s.Revoked(),
		Attempts: map[fleet.Action]projection.Attempts{}, Nodes: map[fleet.NodeID]nodeAnswers{},
	}
	for _, root := range s.Trust() {
		a.Trust = append(a.Trust, string(root))
	}
	a.Partition, a.Outstanding = s.Partition(), make(map[string]int)
	for _, shard := range shards {
		a.Outstanding[shard] = s.Ledger().OutstandingOf(shard)
	}
	for _, need := range needs(lawIDs) {
		a.Attempts[need] = s.Ledger().Attempts(need)
	}
	for _, id := range everyone {
		n := nodeAnswers{
			MayBeRemoved: s.RemovalApproved(id), CanSign: s.CanSign(id), Epoch: s.Ledger().Epoch(id), RemovedAt: s.RemovedAt(id),
			Losses: s.FlapPenalty(id, midnight, time.Hour), PenaltyHalfway: rounded(s.FlapPenalty(id, halfway(s.Sequence()), lawHalfLife)),
		}
		n.Node, n.Observed = s.Node(id)
		n.RotationDue, _ = s.RotationDue(id, "a")
		n.Node.Last = 0 // a place
		n.LostAt, n.Lost = s.LostAt(id)
		n.Flying, n.FlyingType, n.Busy = s.Ledger().InFlight(id)
		a.Nodes[id] = n
	}
	return a
}

// everyone that is asked about: the fleet, and one of whom nothing is said.
var everyone = append([]fleet.NodeID{"", "stranger"}, lawIDs...)

func (c chronicle) answers() answers {
	trips := c.trips()
	a := answers{
		Observed: fleet.ObservedState{Nodes: c.observed(lawIDs)}, Inventory: c.inventory(), Trust: c.trust(),
		Pauses: []fleet.Pause{}, Rotations: []projection.Rotation{}, Approvals: c.approvals(), Flights: inFlight(trips),
		Posture: c.posture(), Revoked: c.revoked(),
		Attempts: map[fleet.Action]projection.Attempts{}, Nodes: map[fleet.NodeID]nodeAnswers{},
	}
	a.Observed.StrictEnforced, a.Enforcement = c.enforcement()
	a.Partition, a.Outstanding = c.partition(), map[string]int{"": 0, "a": 0, "b": 0, "c": 0}
	for _, f := range a.Flights {
		a.Outstanding[f.Shard]++
	}
	for _, target := range targets { // the fleet, then regions, then nodes
		if p, paused := c.paused(target); paused {
			a.Pauses = append(a.Pauses, p)
		}
		if r, asked := c.rotation(target); asked {
			a.Rotations = append(a.Rotations, r)
		}
	}
	for _, need := range needs(lawIDs) {
		a.Attempts[need] = c.attempts(need, trips)
	}
	for _, id := range everyone {
		a.Nodes[id] = c.nodeAnswers(id, a.Flights)
	}
	return a
}

func (c chronicle) nodeAnswers(id fleet.NodeID, flights []projection.Flight) nodeAnswers {
	_, l := c.lives(id)
	proved, _ := l.proved()
	n := nodeAnswers{
		MayBeRemoved: c.mayBeRemoved(id), CanSign: proved != nil, Epoch: c.epoch(id), RemovedAt: c.removedAt(id),
		Losses: l.penalty(midnight, time.Hour), PenaltyHalfway: rounded(l.penalty(halfway(uint64(len(c))), lawHalfLife)),
	}
	n.Node, n.Observed = c.node(id)
	n.RotationDue = c.rotationDue(n.Node)
	n.Node.Last = 0
	n.LostAt, n.Lost = l.lost()
	for _, f := range slices.Backward(flights) {
		if f.Action.ID == id {
			n.Flying, n.FlyingType, n.Busy = f.ID, f.Action.Type, true
		}
	}
	return n
}

func placeOf(s *projection.State) place {
	p := place{
		Sequence: s.Sequence(), Unfit: s.Unfit(), Ignored: s.Ignored(), InsidePlan: s.InsidePlan(), Safeguards: s.Safeguards(),
		Plan: s.LastPlan(), Enforcement: s.LastEnforcement(), Inventory: s.LastInventory(), Trust: s.LastTrust(),
		Nodes: map[fleet.NodeID]uint64{},
	}
	p.Partition, p.Plans = s.LastPartition(), make(map[string]uint64)
	for _, shard := range shards {
		p.Plans[shard] = s.LastPlanOf(shard)
	}
	for _, id := range everyone {
		p.Nodes[id] = s.LastNode(id)
	}
	return p
}

func (c chronicle) place(ignored map[string]int) place {
	p := place{
		Sequence: uint64(len(c)), Unfit: c.unfit(), Ignored: ignored, InsidePlan: c.insidePlan(), Safeguards: c.safeguards(),
		Plan: c.lastOn(subjects.Plan()), Enforcement: c.lastOn(subjects.Enforcement()),
		Inventory: c.lastOn(subjects.Inventory()), Trust: c.lastOn(subjects.Trust()), Nodes: map[fleet.NodeID]uint64{},
	}
	p.Partition, p.Plans = c.lastOn("fleet.events.partition"), map[string]uint64{"": p.Plan}
	for _, shard := range shards[1:] {
		p.Plans[shard] = c.lastOn("fleet.events.plan." + shard)
	}
	for _, id := range everyone {
		p.Nodes[id] = c.lastOn(subjects.Node(id))
	}
	return p
}

// tell hands the next message to both. With a subject and no event it is
// skipped.
func (m *foldMachine) tell(t *rapid.T, e *events.Event, subject string) {
	if e != nil {
		m.dress.on(e)
	}
	seq := uint64(len(m.log) + 1)
	next := message{seq: seq, at: storedAt(seq), event: e, subject: subject, fits: fits(e)}
	m.log = append(m.log, next)
	before, change := m.facts, projection.Change{}
	if !m.silent {
		m.facts = m.log.answers()
	}
	err := error(nil)
	if e == nil && subject != "" {
		err = m.state.Skip(seq, subjects, subject)
	} else {
		change, err = m.state.Apply(seq, next.at, e)
	}
	if err != nil {
		t.Fatal(err)
	}
	if m.silent {
		return
	}
	before.passTime(m.facts)
	before.Revoked = stillRevoked(before.Revoked, next.at)
	same := reflect.DeepEqual(before, m.facts)
	if same && next.fits && (!next.is(events.TypePlanDecided) || !m.log.counts(next)) {
		m.count[string(e.Type)]++
	}
	m.compare(t, "facts", m.facts, answersOf(m.state))
	m.compare(t, "place", m.log.place(m.count), placeOf(m.state))
	m.compare(t, "change", next.change(same), change)
	m.compare(t, "standings", standingsByID(m.state), slices.AppendSeq([]projection.Standing{}, m.state.Standings()))
}

// standingsByID asks for each of the observed nodes by itself.
func standingsByID(s *projection.State) []projection.Standing {
	list := []projection.Standing{}
	for _, n := range s.Observed().Nodes {
		one, _ := s.Standing(n.ID)
		list = append(list, one)
	}
	return list
}

// passTime takes over what changes although nothing happens.
func (a answers) passTime(later answers) {
	for id, n := range a.Nodes {
		n.PenaltyHalfway = later.Nodes[id].PenaltyHalfway
		a.Nodes[id] = n
	}
}

// stillRevoked leaves out what has expired by itself.
func stillRevoked(all []projection.Revoked, now time.Time) (some []projection.Revoked) {
	for _, r := range all {
		if !r.NotAfter.Before(now) {
			some = append(some, r)
		}
	}
	return some
}

// change is what a message that counted touched, by its type.
func (m message) change(same bool) (c projection.Change) {
	switch {
	case same:
	case m.is(nodeFacts...):
		c.Nodes = []fleet.NodeID{m.event.Node}
	case m.is(actionTypes...), m.is(outcomeTypes...):
		c.Ledger = true
	case m.is(events.TypeControlPaused, events.TypeControlResumed, events.TypePlanApproved, events.TypeRotationRequested, events.TypeRetryRequested):
		c.Control = true
	case m.is(events.TypePartitionApplied):
		c.Partition = true
	default:
		c.Inventory = m.is(events.TypeInventoryApplied)
		c.Trust = m.is(events.TypeTrustPublished)
		c.Enforcement = m.is(events.TypeEnforcementEnabled, events.TypeEnforcementDisabled)
	}
	return c
}

// rounded forgets in what order floats were summed.
func rounded(f float64) float64 { return math.Round(f*1e9) / 1e9 }

func (m *foldMachine) compare(t *rapid.T, what string, want, got any) {
	if reflect.DeepEqual(want, got) {
		return
	}
	for _, message := range m.log {
		t.Logf("%d %q %+v", message.seq, message.subject, message.event)
		if message.event != nil {
			t.Logf("    %+v", message.event.Data)
		}
	}
	t.Fatalf("%s (-oracle +fold):\n%s", what, cmp.Diff(want, got))
}

func TestTheFoldAgreesWithANaiveOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &foldMachine{state: projection.New(), count: map[string]int{}, dress: drawDress(t)}
		m.facts = m.log.answers()
		moves := m.moves()
		for _, name := range slices.Sorted(maps.Keys(moves)) {
			moves[name+", again"] = moves[name] // so that "anything" and misfits stay the smaller part
		}
		moves["anything"], moves["a misfit"], moves["hold still"] = m.anything, m.misfit, m.hold
		t.Repeat(moves)
		m.checkHeld(t)
		m.checkRestored(t)
	})
}
