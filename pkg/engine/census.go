package engine

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// survey is what Hold asks about the fleet as a whole. A count of everybody
// answers it, and so does what Incremental keeps.
type survey interface {
	// nodes is how many nodes are observed, and how many desired ones are present
	// and sign.
	nodes() (observed, signing int)
	// regionOf is the region of a desired node; empty for another.
	regionOf(fleet.NodeID) string
	// all is the census of the fleet, region that of the regions of one name; nil
	// if the inventory has none.
	all() *census
	region(name string) *census
	// blindRegion is the first region of the inventory that is blind; nil: none is.
	blindRegion(Safeguards) *census
	// removal names the decommissions of the plan.
	removal(fleet.Plan) fleet.ApprovalID
}

// census counts the desired nodes of the fleet or of a region.
type census struct {
	what          string
	desired, lost int
	some          []string // the first of the lost
	text          string   // detail, once it was asked for
}

const wholeFleet = "the fleet"

func regionNamed(name string) string { return "region " + name }

// someLost is how many lost nodes are named.
const someLost = 3

func (c *census) lose(id fleet.NodeID) {
	if c.lost++; len(c.some) < someLost {
		c.some = append(c.some, string(id))
	}
}

func (c *census) detail() string {
	if c.text != "" {
		return c.text
	}
	names := strings.Join(c.some, ", ")
	if more := c.lost - len(c.some); more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	c.text = fmt.Sprintf("%d of %d desired nodes of %s are lost, which looks like our own blindness (if they are gone for good, raise --blind-fraction): %s", c.lost, c.desired, c.what, names)
	return c.text
}

// headcount is the survey that walks the desired nodes once.
type headcount struct {
	Situation
	// regions of the nodes that the plan names and the inventory desires.
	regions map[fleet.NodeID]string
	fleet   census
	named   map[string]*census // one may stand twice in an inventory
	signing int
}

func countAll(plan fleet.Plan, s Situation) *headcount {
	c := &headcount{
		Situation: s, fleet: census{what: wholeFleet},
		regions: make(map[fleet.NodeID]string), named: make(map[string]*census),
	}
	for _, a := range plan.Actions {
		if a.ID != "" {
			c.regions[a.ID] = ""
		}
	}
	var seen seen
	seen.build(s.Observed.Nodes)
	for i := range s.Desired.Regions {
		region := &s.Desired.Regions[i]
		if c.named[region.Name] == nil {
			c.named[region.Name] = &census{what: regionNamed(region.Name)}
		}
		for j := range region.Nodes {
			c.countNode(region.Name, region.Nodes[j].ID, &seen)
		}
	}
	return c
}

func (c *headcount) countNode(region string, id fleet.NodeID, seen *seen) {
	if _, named := c.regions[id]; named {
		c.regions[id] = region
	}
	regional := c.named[region]
	regional.desired++
	c.fleet.desired++
	switch have, observed := seen.of(id); {
	case !observed:
	case !have.Present:
		if _, lost := c.Facts.LostAt(id); lost {
			regional.lose(id)
			c.fleet.lose(id)
		}
	case have.CanSign:
		c.signing++
	}
}

func (c *headcount) nodes() (observed, signing int)           { return len(c.Observed.Nodes), c.signing }
func (c *headcount) regionOf(id fleet.NodeID) string          { return c.regions[id] }
func (c *headcount) all() *census                             { return &c.fleet }
func (c *headcount) region(name string) *census               { return c.named[name] }
func (c *headcount) removal(plan fleet.Plan) fleet.ApprovalID { return ApprovalIDFor(plan) }

func (c *headcount) blindRegion(g Safeguards) *census {
	for i := range c.Desired.Regions { // in inventory order, so that the first is always the same
		if region := c.named[c.Desired.Regions[i].Name]; g.blind(region.lost, region.desired) {
			return region
		}
	}
	return nil
}
