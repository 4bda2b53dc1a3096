package engine

import (
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// Incremental decides as Reconcile and Hold do, over and over, on a fleet of
// which little has changed since the last time. It is told what has, and keeps
// who needs what in the order of the plan: so a decision costs what changed and
// what the plan holds, however many nodes need nothing. It asks the same rules of
// the nodes it is told of, and its answers are the same, to the byte.
//
// It is for one inventory, in which no id stands twice, and for one caller at a
// time. The zero Incremental is not usable.
type Incremental struct {
	desired *index.Inventory
	state   []status // of each desired node, by place
	// enroll and issue need that, and lost did not say farewell; by place.
	enroll, issue, lost bitset
	ghosts              ghosts
	observed, signing   int
	strict              bool
	groups              groups

	// plan and approval are those of the last decision; nil and empty: they have
	// to be made anew.
	plan     *fleet.Plan
	approval fleet.ApprovalID
	needs    needs
}

// Observation is what is believed of one observed node.
type Observation struct {
	fleet.ObservedNode
	// Order of the observed nodes: any number that grows from each to the next.
	Order uint64
	// Lost says that the node is absent and did not say farewell: LostAt of Facts.
	Lost bool
}

// status is an Observation in a byte.
type status uint8

const (
	isObserved status = 1 << iota
	isPresent
	canSign
	isLost
)

func (o *Observation) status() status {
	s := isObserved
	if o.Present {
		s |= isPresent
	}
	if o.CanSign {
		s |= canSign
	}
	if o.Lost && !o.Present {
		s |= isLost
	}
	return s
}

func (s status) node() fleet.ObservedNode {
	return fleet.ObservedNode{Present: s&isPresent != 0, CanSign: s&canSign != 0}
}

func (s status) signs() bool { return s&(isPresent|canSign) == isPresent|canSign }

// NewIncremental begins with a permissive fleet of which nothing is observed.
// The index, and the inventory behind it, must not change any more.
func NewIncremental(desired *index.Inventory) *Incremental {
	n := desired.Len()
	x := &Incremental{
		desired: desired, state: make([]status, n),
		enroll: newBitset(n), issue: newBitset(n), lost: newBitset(n), groups: newGroups(desired.Inventory()),
	}
	for place := range n {
		x.file(place, 0)
	}
	return x
}

// Enforced says whether the fleet is strict.
func (x *Incremental) Enforced(strict bool) {
	if x.strict != strict {
		x.strict, x.plan = strict, nil
	}
}

// Observe takes what is believed of a node in place of what was.
func (x *Incremental) Observe(o Observation) {
	if place := x.desired.Place(o.ID); place >= 0 {
		x.move(place, o.status())
	} else if x.ghosts.put(o.ID, o.Order) {
		x.plan, x.approval = nil, ""
	}
}

// Forget takes note that a node is no longer observed, if it was.
func (x *Incremental) Forget(id fleet.NodeID) {
	if place := x.desired.Place(id); place >= 0 {
		x.move(place, 0)
	} else if x.ghosts.remove(id) {
		x.plan, x.approval = nil, ""
	}
}

// move gives a desired node another status, and all that is counted with it.
func (x *Incremental) move(place int, now status) {
	before := x.state[place]
	if before == now {
		return
	}
	x.state[place] = now
	x.observed += count(now&isObserved != 0) - count(before&isObserved != 0)
	x.signing += count(now.signs()) - count(before.signs())
	if x.lost.put(place, now&isLost != 0) {
		x.groups.lose(x.desired.Region(place), now&isLost != 0)
	}
	x.file(place, now)
}

// file enters what the rule says that a node lacks.
func (x *Incremental) file(place int, now status) {
	kind := lacks(now.node())
	changed := x.enroll.put(place, kind == fleet.EnrollNode)
	changed = x.issue.put(place, kind == fleet.IssueCredential) || changed
	if changed {
		x.plan = nil
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Reconcile is the function Reconcile of the inventory and of what was observed.
// Nobody may change the plan; it stays the same until something else is observed.
func (x *Incremental) Reconcile() fleet.Plan {
	if x.plan == nil {
		x.collect()
		plan := x.needs.plan(x.desired.Inventory().RequireSig, x.strict)
		x.needs.forget()
		x.plan = &plan
	}
	return *x.plan
}

func (x *Incremental) collect() {
	for place := x.enroll.next(0); place >= 0; place = x.enroll.next(place + 1) {
		x.needs.add(fleet.EnrollNode, x.desired.Node(place).ID)
	}
	for place := x.issue.next(0); place >= 0; place = x.issue.next(place + 1) {
		x.needs.add(fleet.IssueCredential, x.desired.Node(place).ID)
	}
	for _, g := range x.ghosts.list {
		if g.id != "" {
			x.needs.add(fleet.DecommissionNode, g.id)
		}
	}
}
