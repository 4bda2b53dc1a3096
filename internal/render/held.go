package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// heldGroup is what is held of one type, for one reason and with one detail.
type heldGroup struct {
	fleet.Held
	ids []string
}

// Held writes what of a plan is held: a line for each type and reason with the
// nodes concerned, and below it why. It writes nothing when nothing is held.
func Held(w io.Writer, held []fleet.Held, o Options) error {
	return groups(w, held, "held by a safeguard", o)
}

// Waiting does the same for what waits for time or room.
func Waiting(w io.Writer, held []fleet.Held, o Options) error {
	return groups(w, held, "not published yet", o)
}

func groups(w io.Writer, held []fleet.Held, what string, o Options) error {
	if len(held) == 0 {
		return nil
	}
	most := o.MaxBlockers
	if most <= 0 {
		most = defaultMaxBlockers
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "\n%s %s %s:\n", o.paint(Yellow, "="), Count(len(held), "action"), what)
	all := groupHeld(held)
	for _, g := range all[:min(most, len(all))] {
		fmt.Fprintf(b, "    %s\n", strings.TrimSpace(fmt.Sprintf("%s  %s", g.Type, someOf(g.ids, most))))
		fmt.Fprintf(b, "        %s: %s\n", g.Reason, g.Detail)
	}
	if more := len(all) - most; more > 0 {
		fmt.Fprintf(b, "    and %d more reasons\n", more)
	}
	return b.Flush()
}

func groupHeld(held []fleet.Held) []*heldGroup {
	var groups []*heldGroup
	known := make(map[fleet.Held]*heldGroup)
	for _, h := range held {
		key := h
		key.ID = ""
		g := known[key]
		if g == nil {
			g = &heldGroup{Held: key}
			known[key] = g
			groups = append(groups, g)
		}
		if h.ID != "" {
			g.ids = append(g.ids, string(h.ID))
		}
	}
	return groups
}

func someOf(ids []string, most int) string {
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
}
