package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// stuckGroup is what is stuck of one type with one error.
type stuckGroup struct {
	kind     fleet.ActionType
	err      string
	ids      []string
	failures int // the most
	// next is the earliest attempt to come; zero: one is under way.
	next time.Time
}

// Stuck writes what of a plan keeps failing: a line for each type and error with
// the nodes concerned, and below it the last error. It writes nothing when
// nothing is stuck.
func Stuck(w io.Writer, stuck []engine.Stuck, o Options) error {
	if len(stuck) == 0 {
		return nil
	}
	most := o.MaxBlockers
	if most <= 0 {
		most = defaultMaxBlockers
	}
	verb := "is"
	if len(stuck) > 1 {
		verb = "are"
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "\n%s %s %s stuck, and tried on:\n", o.paint(Red, "x"), Count(len(stuck), "action"), verb)
	all := groupStuck(stuck)
	for _, g := range all[:min(most, len(all))] {
		fmt.Fprintf(b, "    %s\n        %s\n        %s\n",
			strings.TrimSpace(fmt.Sprintf("%s  %s", g.kind, someOf(g.ids, most))), g.err, g.when())
	}
	if more := len(all) - most; more > 0 {
		fmt.Fprintf(b, "    and %d more errors\n", more)
	}
	return b.Flush()
}

func groupStuck(stuck []engine.Stuck) []*stuckGroup {
	type key struct {
		fleet.ActionType
		err string
	}
	var groups []*stuckGroup
	known := make(map[key]*stuckGroup)
	for _, s := range stuck {
		k := key{s.Type, firstLine(s.LastError)}
		g := known[k]
		if g == nil {
			g = &stuckGroup{kind: s.Type, err: k.err, next: s.NextAttempt}
			known[k] = g
			groups = append(groups, g)
		}
		if s.ID != "" {
			g.ids = append(g.ids, string(s.ID))
		}
		g.failures = max(g.failures, s.Failures)
		if s.NextAttempt.Before(g.next) {
			g.next = s.NextAttempt
		}
	}
	return groups
}

func (g *stuckGroup) when() string {
	text := fmt.Sprintf("failed %d times in a row; ", g.failures)
	if len(g.ids) > 1 {
		text = fmt.Sprintf("failed up to %d times in a row; ", g.failures)
	}
	if g.next.IsZero() {
		return text + "another attempt is under way"
	}
	return text + "next attempt at " + g.next.Local().Format(time.TimeOnly)
}

// firstLine leaves out the stack of a panic; the JSON form has all of it.
func firstLine(s string) string {
	const shown = 200
	line, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(line); len(r) > shown {
		line, more = string(r[:shown]), true
	}
	if more {
		line += "…"
	}
	return line
}
