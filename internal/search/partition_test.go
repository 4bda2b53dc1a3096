package search

import (
	"fmt"
	"math/rand/v2"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// The rules of docs/adr/0030 for planners that share a fleet, which are proposed
// and not built. Fold, decision and ids are the real ones; what is modelled is the
// partition, whose plans count, and the fence of each shard's plans. Each rule can
// be left out, and then two planners must come to act on one node, or one on what
// is not its own.

// partition says whose a region is; rest has everything else.
type partition struct {
	sequence uint64 // 0: no partition, the fleet is one shard, ""
	regions  map[string]string
	rest     string
}

// owner of a node under an inventory; the empty id is the fleet.
func (p partition) owner(d *decide.Desired, id fleet.NodeID) string {
	if id == "" || d.Node(id) == nil {
		return p.rest
	}
	if shard, named := p.regions[d.Region(id)]; named {
		return shard
	}
	return p.rest
}

func (p partition) knows(shard string) bool {
	for _, named := range p.regions {
		if named == shard {
			return true
		}
	}
	return shard == p.rest
}

// sharedRules are the rules; false leaves one out.
type sharedRules struct {
	// samePartition and sameInventory: a plan counts only while that which it was
	// decided under is in force. fence: on the shard's own plans.
	samePartition, sameInventory, fence bool
}

// sharedRecord is one record of the log: an event, or else a partition.
type sharedRecord struct {
	event *events.Event
	partition
	plan *sharedPlan // that the record is the head or an action of
}

type sharedPlan struct {
	shard     string
	partition uint64
	decided   *events.PlanDecided
}

// sharedFold is a fold of the log with what it would know of partitions.
type sharedFold struct {
	*projection.State
	partition
	lastPlan map[string]uint64
	counts   *sharedPlan // the newest plan, if it counts
}

func (f *sharedFold) admits(r sharedRules, p *sharedPlan) bool {
	return f.knows(p.shard) && (!r.samePartition || p.partition == f.sequence) &&
		(!r.sameInventory || f.sequence == 0 || p.decided.Generation == f.Inventory().Generation)
}

// sharedFleet is a log with its end folded.
type sharedFleet struct {
	sharedRules
	log         []sharedRecord
	end         sharedFold
	inventories map[uint64]*decide.Desired
	random      *rand.Rand
	published   map[fleet.ActionID]bool
	broken      string
	refused     int // plans that did not count
}

func newSharedFleet(r sharedRules, seed uint64) *sharedFleet {
	return &sharedFleet{
		sharedRules: r, end: newSharedFold(), inventories: make(map[uint64]*decide.Desired),
		random: rand.New(rand.NewPCG(seed, 1)), published: make(map[fleet.ActionID]bool),
	}
}

func newSharedFold() sharedFold {
	return sharedFold{State: projection.New(), lastPlan: make(map[string]uint64)}
}

// fold is Apply as it would be.
func (s *sharedFleet) fold(f *sharedFold, r sharedRecord) projection.Change {
	event := r.event
	switch {
	case event == nil:
		f.partition = r.partition
	case event.Type == events.TypePlanDecided:
		f.counts, f.lastPlan[r.plan.shard] = nil, f.Sequence()+1
		if f.admits(s.sharedRules, r.plan) {
			f.counts = r.plan
		} else {
			event = nil
		}
	case event.Type.IsAction() && f.counts != r.plan:
		event = nil
	}
	change, err := f.Apply(f.Sequence()+1, stored, event)
	if err != nil {
		panic(err) // the model left a gap
	}
	return change
}

func (s *sharedFleet) append(records ...sharedRecord) {
	for _, r := range records {
		s.check(r)
		s.log = append(s.log, r)
		change := s.fold(&s.end, r)
		if r.plan != nil && r.event.Type == events.TypePlanDecided && s.end.counts == nil {
			s.refused++
		}
		if r.event != nil && r.event.Type.IsAction() && change.Ledger {
			s.published[r.event.Data.(*events.ActionRequested).Action] = true
		}
	}
}

// check looks at an action that is about to count.
func (s *sharedFleet) check(r sharedRecord) {
	if r.event == nil || !r.event.Type.IsAction() || s.end.counts != r.plan {
		return
	}
	d := r.event.Data.(*events.ActionRequested)
	other, _, busy := s.end.Ledger().InFlight(d.ID)
	switch owner := s.end.owner(s.inventories[s.end.Inventory().Generation], d.ID); {
	case busy:
		s.broken = fmt.Sprintf("%s %q by shard %q while %s is in flight", d.Type, d.ID, r.plan.shard, other)
	case owner != r.plan.shard:
		s.broken = fmt.Sprintf("%s %q by shard %q, and it is %q's", d.Type, d.ID, r.plan.shard, owner)
	case s.published[d.Action]:
		s.broken = fmt.Sprintf("%s %q twice", d.Type, d.ID)
	}
}

func (s *sharedFleet) tell(id fleet.NodeID, data events.Payload, kind events.Type) {
	s.append(sharedRecord{event: &events.Event{Type: kind, Node: id, Data: data}})
}

// apply puts an inventory into force in which each node is in a region or in none.
func (s *sharedFleet) apply() {
	inv := &fleet.Inventory{Regions: []fleet.Region{{Name: "r"}, {Name: "s"}, {Name: "t"}}, RequireSig: s.random.IntN(2) == 0}
	for n := range 3 {
		if to := s.random.IntN(4); to < 3 {
			inv.Regions[to].Nodes = append(inv.Regions[to].Nodes, fleet.Node{ID: nodeNumber(n)})
		}
	}
	generation := s.end.Inventory().Generation + 1
	s.inventories[generation] = decide.NewDesired(inv)
	s.tell("", &events.InventoryApplied{Digest: "d", Generation: generation}, events.TypeInventoryApplied)
}

func nodeNumber(n int) fleet.NodeID { return fleet.NodeID(fmt.Sprint("n", n)) }

// share draws a partition over a and b; now and then there is none again.
func (s *sharedFleet) share() {
	p := partition{sequence: s.end.Sequence() + 1, regions: make(map[string]string)}
	if s.random.IntN(5) > 0 {
		shards := []string{"a", "b"}
		p.rest = shards[s.random.IntN(2)]
		for _, region := range []string{"r", "s"} {
			p.regions[region] = shards[s.random.IntN(2)]
		}
	}
	s.append(sharedRecord{partition: p})
}

// decide lets the planner of a shard publish on a view of the log up to sequence.
func (s *sharedFleet) decide(shard string, view int) {
	f := newSharedFold()
	for _, r := range s.log[:view] {
		s.fold(&f, r)
	}
	desired := s.inventories[f.Inventory().Generation]
	if desired == nil || !f.knows(shard) || f.InsidePlan() || s.fence && f.lastPlan[shard] != s.end.lastPlan[shard] {
		return
	}
	whole := s.decideAll(f.State)
	plan := &sharedPlan{shard: shard, partition: f.sequence, decided: &events.PlanDecided{Generation: f.Inventory().Generation}}
	batch := []sharedRecord{{plan: plan, event: &events.Event{Type: events.TypePlanDecided, Data: plan.decided}}}
	for _, step := range whole.Publish {
		if f.owner(desired, step.ID) != shard {
			continue
		}
		d := &events.ActionRequested{Type: step.Type, ID: step.ID, Action: step.ActionID, Attempt: step.Attempt, Epoch: step.Epoch, Generation: step.Generation}
		plan.decided.Actions = append(plan.decided.Actions, *d)
		batch = append(batch, sharedRecord{plan: plan, event: &events.Event{Type: events.TypeOfAction(step.Type), Node: step.ID, Data: d}})
	}
	if len(batch) > 1 {
		s.append(batch...)
	}
}

// decideAll is what a planner would publish that has the fleet for itself.
func (s *sharedFleet) decideAll(on *projection.State) decide.Decided {
	return decide.Plan(on, s.inventories[on.Inventory().Generation].Inventory, decide.Given{
		Settled: true, Now: decided, Safeguards: engine.DefaultSafeguards(), Policy: engine.DefaultPolicy(),
	})
}

// execute ends the oldest action in flight as an executor would: refused where it
// is not wanted any more, else done, or failed.
func (s *sharedFleet) execute(fails bool) {
	flights := s.end.Ledger().Flights()
	if len(flights) == 0 {
		return
	}
	a, id := flights[0].Action, flights[0].ID
	wanted := decide.Wanted(s.end.State, s.inventories[s.end.Inventory().Generation], a)
	switch {
	case !wanted:
		s.tell(a.ID, &events.ActionRefused{Type: a.Type, ID: a.ID, Action: id, Reason: "no_longer_wanted"}, events.TypeActionRefused)
		return
	case fails:
		s.tell(a.ID, &events.ActionFailed{Type: a.Type, ID: a.ID, Action: id, Reason: "timeout"}, events.TypeActionFailed)
		return
	}
	s.effect(a, id)
	s.tell(a.ID, &events.ActionSucceeded{Type: a.Type, ID: a.ID, Action: id}, events.TypeActionSucceeded)
}

func (s *sharedFleet) effect(a fleet.Action, id fleet.ActionID) {
	epoch := s.end.Ledger().Epoch(a.ID)
	switch a.Type {
	case fleet.EnrollNode:
		s.tell(a.ID, &events.NodeAppeared{Epoch: epoch, Session: string(id), KeyFingerprint: "k"}, events.TypeNodeAppeared)
	case fleet.IssueCredential:
		s.tell(a.ID, &events.CredentialIssued{Epoch: epoch, Serial: string(id), Nonce: "n", KeyFingerprint: "k"}, events.TypeCredentialIssued)
		s.tell(a.ID, &events.CredentialProved{Epoch: epoch, Serial: string(id), Nonce: "n"}, events.TypeCredentialProved)
	case fleet.DecommissionNode:
		s.tell(a.ID, &events.NodeRemoved{Epoch: epoch, Action: id}, events.TypeNodeRemoved)
	case fleet.EnableStrictEnforcement:
		s.tell("", &events.EnforcementEnabled{Action: id}, events.TypeEnforcementEnabled)
	case fleet.DisableStrictEnforcement:
		s.tell("", &events.EnforcementDisabled{Action: id}, events.TypeEnforcementDisabled)
	}
}
