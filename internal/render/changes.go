package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/fleetfold/fleetfold/internal/inventorydiff"
)

// Changes writes what differs between two inventories: a line for each field of
// the fleet and each region, and one for all the nodes that changed alike, with
// their names below it where there are several. It writes nothing when nothing
// differs.
func Changes(w io.Writer, changes []inventorydiff.Change, o Options) error {
	most := o.MaxBlockers
	if most <= 0 {
		most = defaultMaxBlockers
	}
	b := bufio.NewWriter(w)
	for _, g := range groupChanges(changes) {
		symbol := o.paint(changeColours[g.Kind], changeSymbols[g.Kind])
		switch {
		case len(g.ids) == 0:
			fmt.Fprintf(b, "%s %s\n", symbol, strings.TrimSpace(g.Path+"  "+fieldChange(g.Change)))
		case len(g.ids) == 1:
			fmt.Fprintf(b, "%s %s\n", symbol, strings.TrimSpace(fmt.Sprintf("node %s in %s  %s", g.ids[0], g.Region, fieldChange(g.Change))))
		default:
			fmt.Fprintf(b, "%s %s\n    %s\n", symbol, strings.TrimSpace(fmt.Sprintf("%s in %s  %s", Count(len(g.ids), "node"), g.Region, fieldChange(g.Change))), someOf(g.ids, most))
		}
	}
	return b.Flush()
}

var (
	changeSymbols = map[inventorydiff.Kind]string{
		inventorydiff.Added: "+", inventorydiff.Removed: "-", inventorydiff.Moved: ">", inventorydiff.Changed: "~", inventorydiff.Reordered: "~",
	}
	changeColours = map[inventorydiff.Kind]string{
		inventorydiff.Added: Green, inventorydiff.Removed: Red, inventorydiff.Moved: Yellow, inventorydiff.Changed: Yellow, inventorydiff.Reordered: Yellow,
	}
)

// fieldChange is what became of a field, or of a node or a region as a whole.
func fieldChange(c inventorydiff.Change) string {
	switch c.Kind {
	case inventorydiff.Added:
		return bracketed(c.New)
	case inventorydiff.Removed:
		return bracketed(c.Old)
	case inventorydiff.Reordered:
		return "in another order"
	case inventorydiff.Moved:
		return fmt.Sprintf("from %s", c.Old)
	}
	text := fmt.Sprintf("%s -> %s", shownValue(c.Old), shownValue(c.New))
	if c.Node != "" {
		text = c.Field + " " + text
	}
	return text
}

// bracketed leaves out the name of the first field of a node, which tells it by
// itself: it keeps a line within the width of a terminal.
func bracketed(s string) string {
	s = strings.TrimPrefix(s, "attestor ")
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func shownValue(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// changeGroup is one change, of one thing or of several nodes.
type changeGroup struct {
	inventorydiff.Change
	ids []string
}

func groupChanges(changes []inventorydiff.Change) []*changeGroup {
	var groups []*changeGroup
	known := make(map[inventorydiff.Change]*changeGroup)
	for _, c := range changes {
		key := c
		if c.Node != "" {
			key.Path, key.Node = "", ""
		}
		g := known[key]
		if g == nil {
			g = &changeGroup{Change: c}
			known[key] = g
			groups = append(groups, g)
		}
		if c.Node != "" {
			g.ids = append(g.ids, string(c.Node))
		}
	}
	return groups
}
