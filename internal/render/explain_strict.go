package render

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/explain"
)

func (p *explainer) strict(s *explain.Strict) {
	if len(s.Blockers) > 0 {
		fmt.Fprintln(p)
	}
	for _, b := range s.Blockers {
		p.line(4, fmt.Sprintf("%s %s  %s", p.paint(Magenta, "!"), b.ID, p.blocker(b)))
		if b.Pending != nil {
			p.line(8, "    "+p.state(*b.Pending))
		}
	}
	if s.Held != nil {
		p.line(4, p.paint(Yellow, "= ")+fmt.Sprintf("whatever the nodes do, the flip is held: %s", reason(s.Held.Reason, s.Held.Detail)))
	}
	if s.Unsettled > 0 {
		p.line(4, p.paint(Yellow, "= ")+fmt.Sprintf("whoever decided the newest plan (%d) had not yet seen all nodes that the log calls present, and holds the flip until then", s.Unsettled))
	}
	if s.Flip != nil {
		p.flip(s.Flip)
	}
}

// blocker says since when, and why.
func (p *explainer) blocker(b explain.Blocker) string {
	absent := "present since " + number(b.Present.Since)
	if !b.Present.Is {
		absent = "absent since " + number(b.Present.Since) + ": " + spaced(b.Absence)
	}
	unsigned := "can sign since " + number(b.CanSign.Since)
	if !b.CanSign.Is {
		unsigned = "cannot sign since " + number(b.CanSign.Since) + ": " + spaced(b.Unsigned)
	}
	if b.Challenge > 0 {
		unsigned += fmt.Sprintf(" (issued at %d)", b.Challenge)
	}
	return strings.ReplaceAll(absent+"; "+unsigned, " since ever:", ":")
}

// number is a sequence; what was never otherwise is so since ever.
func number(seq uint64) string {
	if seq == 0 {
		return "ever"
	}
	return fmt.Sprint(seq)
}

// mostProofs is how many proofs of a flip are shown; the JSON form has them all.
const mostProofs = 10

func (p *explainer) flip(f *explain.Flip) {
	fmt.Fprintln(p)
	text := fmt.Sprintf("strict since %d, for generation %d", f.Sequence, f.Generation)
	if f.ActionAt > 0 {
		text += fmt.Sprintf(", by %s (%d)", f.Action, f.ActionAt)
	}
	if f.PlanAt > 0 {
		text += fmt.Sprintf(" of the plan at %d, decided on %d", f.PlanAt, f.Basis)
	}
	p.line(4, text)
	for _, proof := range f.Proofs[:min(mostProofs, len(f.Proofs))] {
		p.line(8, fmt.Sprintf("    %s  present since %s, proved at %s", proof.ID, number(proof.Present), number(proof.Proved)))
	}
	if more := len(f.Proofs) - mostProofs; more > 0 {
		p.line(8, fmt.Sprintf("    and %d more nodes", more))
	}
}
