package engine

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// census counts the desired nodes of the fleet or of a region.
type census struct {
	what          string
	desired, lost int
	some          []string // a few of the lost
	blind         bool
}

// someLost is how many lost nodes are named.
const someLost = 3

func (c *census) lose(id fleet.NodeID) {
	if c.lost++; len(c.some) < someLost {
		c.some = append(c.some, string(id))
	}
}

func (c *census) detail() string {
	names := strings.Join(c.some, ", ")
	if more := c.lost - len(c.some); more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%d of %d desired nodes of %s are lost, which looks like our own blindness (if they are gone for good, raise --blind-fraction): %s", c.lost, c.desired, c.what, names)
}

// count walks the desired nodes once.
func (h *holder) count() {
	var seen index
	seen.build(h.Observed.Nodes)
	for i := range h.Desired.Regions {
		region := &h.Desired.Regions[i]
		c := h.regions[region.Name]
		if c == nil {
			c = &census{what: "region " + region.Name}
			h.regions[region.Name] = c
		}
		for j := range region.Nodes {
			h.countNode(c, region.Name, region.Nodes[j].ID, &seen)
		}
	}
	h.fleet.blind = h.safeguards.blind(h.fleet.lost, h.fleet.desired)
	for i := range h.Desired.Regions { // in inventory order, so that the first is always the same
		c := h.regions[h.Desired.Regions[i].Name]
		c.blind = h.safeguards.blind(c.lost, c.desired)
		if c.blind && h.blindIn == nil {
			h.blindIn = c
		}
	}
}

func (h *holder) countNode(c *census, region string, id fleet.NodeID, seen *index) {
	if _, named := h.region[id]; named {
		h.region[id] = region
	}
	c.desired++
	h.fleet.desired++
	at := seen.find(id)
	switch {
	case at < 0:
	case !h.Observed.Nodes[at].Present:
		if _, lost := h.Facts.LostAt(id); lost {
			c.lose(id)
			h.fleet.lose(id)
		}
	case h.Observed.Nodes[at].CanSign:
		h.signing++
	}
}
