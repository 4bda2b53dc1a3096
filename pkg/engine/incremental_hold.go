package engine

import "github.com/fleetfold/fleetfold/pkg/fleet"

// Decide is Reconcile, and the function Hold for its plan. Of the situation,
// Desired and Observed are not looked at.
func (x *Incremental) Decide(s Situation, g Safeguards) (plan, allowed fleet.Plan, held []fleet.Held) {
	plan = x.Reconcile()
	s.Desired = x.desired.Inventory()
	allowed, held = hold(plan, s, g, x)
	return plan, allowed, held
}

// What follows makes of Incremental a survey.

func (x *Incremental) nodes() (observed, signing int) {
	return x.observed + x.ghosts.len(), x.signing
}

func (x *Incremental) regionOf(id fleet.NodeID) string {
	place := x.desired.Place(id)
	if place < 0 {
		return ""
	}
	return x.desired.Inventory().Regions[x.desired.Region(place)].Name
}

func (x *Incremental) all() *census {
	c := &census{what: wholeFleet, desired: x.desired.Len(), lost: x.lost.length}
	x.name(c, 0, x.desired.Len())
	return c
}

func (x *Incremental) region(name string) *census {
	n, known := x.groups.byName[name]
	if !known {
		return nil
	}
	g := &x.groups.list[n]
	c := &census{what: regionNamed(name), desired: g.desired, lost: g.lost}
	for _, r := range g.regions {
		start := x.desired.Start(r)
		x.name(c, start, start+len(x.desired.Inventory().Regions[r].Nodes))
	}
	return c
}

// name gives a census the first of the lost nodes between two places.
func (x *Incremental) name(c *census, from, to int) {
	for place := x.lost.next(from); place >= 0 && place < to && len(c.some) < someLost; place = x.lost.next(place + 1) {
		c.some = append(c.some, string(x.desired.Node(place).ID))
	}
}

// blindRegion looks only at regions that have lost anybody.
func (x *Incremental) blindRegion(g Safeguards) *census {
	for n := x.groups.lost.next(0); n >= 0; n = x.groups.lost.next(n + 1) {
		if have := &x.groups.list[n]; g.blind(have.lost, have.desired) {
			return x.region(have.name)
		}
	}
	return nil
}

func (x *Incremental) removal(plan fleet.Plan) fleet.ApprovalID {
	if x.approval == "" {
		x.approval = ApprovalIDFor(plan)
	}
	return x.approval
}
