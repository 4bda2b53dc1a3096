package engine

import "github.com/fleetfold/fleetfold/pkg/fleet"

// groups counts who is lost, by the name of a region: one may stand twice in an
// inventory.
type groups struct {
	list   []group // in the order in which a name first stands
	of     []int   // by region
	byName map[string]int
	lost   bitset // which groups have lost any
}

type group struct {
	name          string
	regions       []int
	desired, lost int
}

func newGroups(inv *fleet.Inventory) groups {
	g := groups{of: make([]int, len(inv.Regions)), byName: make(map[string]int)}
	for r := range inv.Regions {
		name := inv.Regions[r].Name
		n, known := g.byName[name]
		if !known {
			n = len(g.list)
			g.byName[name] = n
			g.list = append(g.list, group{name: name})
		}
		g.of[r] = n
		g.list[n].regions = append(g.list[n].regions, r)
		g.list[n].desired += len(inv.Regions[r].Nodes)
	}
	g.lost = newBitset(len(g.list))
	return g
}

// lose counts one more of a region as lost, or one less.
func (g *groups) lose(region int, lost bool) {
	n := g.of[region]
	if lost {
		g.list[n].lost++
	} else {
		g.list[n].lost--
	}
	g.lost.put(n, g.list[n].lost > 0)
}
