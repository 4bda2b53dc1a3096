package render

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// ExplainOptions of Explanation. The zero value is plain text in UTC, with every
// step, on lines of any length.
type ExplainOptions struct {
	Options
	// Width at which lines are wrapped; 0: they are not.
	Width int
	// Zone of the times that are shown; nil: UTC.
	Zone *time.Location
	// MaxSteps is how many of the newest steps are shown; 0: all.
	MaxSteps int
}

// Explanation writes why something is as it is: the verdict, what holds and since
// which record, what is pending, and the steps that led there.
func Explanation(w io.Writer, x explain.Explanation, o ExplainOptions) error {
	b := bufio.NewWriter(w) // it keeps the first error of writing
	p := explainer{Writer: b, ExplainOptions: o, now: x.Now}
	if p.Zone == nil {
		p.Zone = time.UTC
	}
	p.line(0, p.paint(Bold, subjectOf(x.Subject)+": ")+plain(x.Verdict))
	p.inventory(x)
	if x.Node != nil && x.Subject.Kind == explain.KindNode {
		p.node(x.Node)
	}
	if x.Strict != nil {
		p.strict(x.Strict)
	}
	if x.Action != nil {
		p.action(x.Action)
	}
	p.pending(x.Pending)
	p.steps(x)
	return b.Flush()
}

type explainer struct {
	io.Writer
	ExplainOptions
	now time.Time
}

func subjectOf(s explain.Subject) string {
	switch s.Kind {
	case explain.KindStrict:
		return "strict enforcement"
	case explain.KindAction:
		return strings.TrimSpace(fmt.Sprintf("%s %s (%s)", s.Type, s.Node, s.Action))
	}
	return "node " + string(s.Node)
}

// line writes a text, wrapped so that what follows stands below indent.
func (p *explainer) line(indent int, text string) {
	lead := text[:len(text)-len(strings.TrimLeft(text, " "))]
	used, begun := len(lead), false
	b := strings.Builder{}
	b.WriteString(lead)
	for _, word := range strings.SplitAfter(text[len(lead):], " ") {
		n := columns(strings.TrimRight(word, " "))
		if p.Width > 0 && begun && used+n > p.Width {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			used = indent
		}
		b.WriteString(word)
		used, begun = used+columns(word), true
	}
	for l := range strings.Lines(b.String()) {
		fmt.Fprintln(p, strings.TrimRight(l, " \n"))
	}
}

// columns that a text takes on a terminal, colours left out.
func columns(s string) int {
	n := utf8.RuneCountInString(s)
	for {
		_, rest, found := strings.Cut(s, "\x1b[")
		if !found {
			return n
		}
		code, after, _ := strings.Cut(rest, "m")
		n -= len(code) + 3
		s = after
	}
}

// plain keeps what others wrote from moving the cursor or colouring the screen.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// at names a record: its sequence and type.
func at(seq uint64, t events.Type) string {
	if seq == 0 {
		return "never otherwise"
	}
	return fmt.Sprintf("since %d  %s", seq, t)
}

func (p *explainer) inventory(x explain.Explanation) {
	if i := x.Inventory; i != nil {
		by := ""
		if i.Actor != "" {
			by = " by " + plain(i.Actor)
		}
		p.line(4, fmt.Sprintf("inventory generation %d%s, applied at %d; the log ends at %d", i.Generation, by, i.Sequence, x.Sequence))
	}
	for _, u := range x.Unreadable {
		p.line(4, p.paint(Red, "! ")+fmt.Sprintf("the inventory applied at %d cannot be read: %s", u.Sequence, plain(u.Error)))
	}
}

func (p *explainer) node(n *explain.Node) {
	fmt.Fprintln(p)
	region := ""
	if n.Region != "" {
		region = "region " + plain(n.Region)
	}
	p.truth("desired", n.Desired, region)
	life := fmt.Sprintf("life %d", n.Epoch)
	if !n.Observed.Is {
		life = ""
	}
	p.truth("observed", n.Observed, life)
	p.truth("present", n.Present, spaced(n.Absence))
	unsigned := spaced(n.Unsigned)
	switch {
	case n.Challenge > 0 && n.Unsigned == "":
		unsigned = fmt.Sprintf("a newer credential, issued at %d, is not proved yet", n.Challenge)
	case n.Challenge > 0:
		unsigned = fmt.Sprintf("the credential issued at %d is not proved", n.Challenge)
	}
	if !n.Expires.IsZero() {
		unsigned = strings.TrimLeft(unsigned+"; its credential ends "+p.moment(n.Expires), "; ")
	}
	p.truth("can sign", n.CanSign, unsigned)
	if n.Paused != nil {
		p.line(14, fmt.Sprintf("%-9s yes  since %d  %s by %s%s", "paused", n.Paused.Sequence, plain(n.Paused.Target.String()), plain(n.Paused.Actor), noted(n.Paused.Note)))
	}
}

func (p *explainer) truth(what string, t explain.Truth, more string) {
	word, colour := "no ", Yellow
	if t.Is {
		word, colour = "yes", Green
	}
	p.line(15, strings.TrimRight(fmt.Sprintf("%-9s %s  %-34s  %s", what, p.paint(colour, word), at(t.Since, t.By), more), " "))
}

// spaced is a stable word for a person.
func spaced(w explain.Why) string { return strings.ReplaceAll(string(w), "_", " ") }

func noted(note string) string {
	if note == "" {
		return ""
	}
	return ": " + plain(note)
}

// moment is a time, and how far away it is.
func (p *explainer) moment(t time.Time) string {
	text := t.In(p.Zone).Format(time.DateTime)
	switch d := t.Sub(p.now).Round(time.Second); {
	case d > 0:
		return text + " (in " + d.String() + ")"
	case d < 0:
		return text + " (" + (-d).String() + " ago)"
	}
	return text + " (now)"
}

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

func (p *explainer) action(a *explain.Action) {
	fmt.Fprintln(p)
	p.line(10, fmt.Sprintf("need      %s, attempt %d, life %d, generation %d", strings.TrimSpace(fmt.Sprintf("%s %s", a.Type, a.ID)), a.Attempt, a.Epoch, a.Generation))
	if a.PlanAt > 0 {
		p.line(10, fmt.Sprintf("plan      %s at %d, decided on %d%s", a.Plan, a.PlanAt, a.Basis, causes(a.Because)))
	}
	p.line(10, fmt.Sprintf("published at %d, %s", a.Sequence, p.moment(a.At)))
	for _, e := range a.Earlier {
		p.line(10, fmt.Sprintf("before    %s at %d: %s", e.Action, e.Sequence, p.outcome(e.Outcome)))
	}
	p.line(10, "outcome   "+p.outcome(a.Outcome))
	if a.SupersededBy != "" {
		p.line(10, fmt.Sprintf("next      %s at %d", a.SupersededBy, a.SupersededAt))
	}
}

func (p *explainer) outcome(o *explain.Outcome) string {
	if o == nil {
		return "none"
	}
	text := fmt.Sprintf("%s at %d", strings.TrimPrefix(string(o.Type), "action."), o.Sequence)
	if o.Reason != "" {
		text += ": " + reason(o.Reason, o.Detail)
	}
	return text
}

func reason(r fleet.Reason, detail string) string {
	if detail == "" {
		return string(r)
	}
	return string(r) + ": " + plain(firstLine(detail))
}

// causes lists what follows from what.
func causes(list []explain.Cause) string {
	var parts []string
	for _, c := range list {
		parts = append(parts, fmt.Sprintf("%s (%d)", c.Says, c.Sequence))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", because: " + strings.Join(parts, ", ")
}

func (p *explainer) pending(pending []explain.Pending) {
	if len(pending) > 0 {
		fmt.Fprintln(p)
	}
	for _, a := range pending {
		p.line(6, "pending   "+p.state(a))
	}
}

// state is what becomes of a pending action.
func (p *explainer) state(a explain.Pending) string {
	symbol, colour := Action(a.Type)
	text := p.paint(colour, symbol) + " " + string(a.Type) + " " + strings.ReplaceAll(string(a.State), "_", " ")
	if a.State == explain.InFlight {
		text += fmt.Sprintf(" as %s at %d, since %s", a.ActionID, a.Published, p.moment(a.Since))
	} else {
		text += fmt.Sprintf(", attempt %d to come", a.Attempt)
	}
	if a.Unwanted {
		text += "; no longer wanted, and refused unless it has begun"
	}
	switch {
	case a.State == explain.BackingOff:
		text += "; " + plain(firstLine(a.LastError))
	case a.Reason != "":
		text += "; " + reason(a.Reason, a.Detail)
	}
	if !a.Until.IsZero() {
		text += "; until " + p.moment(a.Until)
	}
	if len(a.BlockedBy) > 0 {
		text += "; waits for " + join(a.BlockedBy)
	}
	if a.Retry {
		text += "; to be retried at once"
	}
	if a.Failures > 0 {
		text += fmt.Sprintf("; %s in a row", Count(a.Failures, "failure"))
	}
	if a.Stuck {
		text += p.paint(Red, ", stuck")
	}
	return text
}

func join(ids []fleet.ActionID) string {
	var names []string
	for _, id := range ids {
		names = append(names, string(id))
	}
	return someOf(names, defaultMaxBlockers)
}

func (p *explainer) steps(x explain.Explanation) {
	steps, omitted := x.Steps, x.Omitted
	if p.MaxSteps > 0 && len(steps) > p.MaxSteps {
		omitted += len(steps) - p.MaxSteps
		steps = steps[len(steps)-p.MaxSteps:]
	}
	if len(steps) > 0 {
		fmt.Fprintln(p)
	}
	if omitted > 0 {
		p.line(4, fmt.Sprintf("%s not shown", Count(omitted, "earlier step")))
	}
	width, day := len(fmt.Sprint(x.Sequence)), ""
	for _, s := range steps {
		if d := s.Time.In(p.Zone).Format(time.DateOnly); d != day {
			day = d
			p.line(0, d)
		}
		p.step(s, width)
	}
}

func (p *explainer) step(s explain.Step, width int) {
	symbol, colour := symbolOf(s.Type)
	head := fmt.Sprintf("%*d  %s  ", width, s.Sequence, s.Time.In(p.Zone).Format(time.TimeOnly))
	indent := columns(head) + 2
	text := string(cmp.Or(s.Type, "(unfit)"))
	if s.Action != "" && s.Type != events.TypePlanDecided {
		text += " " + string(s.Action)
	}
	if s.Says != "" {
		text += "  " + plain(firstLine(s.Says))
	}
	p.line(indent, head+p.paint(colour, symbol)+" "+text)
	below := strings.Repeat(" ", indent)
	if s.Again > 0 {
		p.line(indent, below+fmt.Sprintf("again in %s, the last at %d", Count(s.Again, "plan"), s.LastAgain))
	}
	var changed []string
	for _, c := range s.Changed {
		changed = append(changed, fmt.Sprintf("%s: %s → %s", c.What, plain(c.From), plain(c.To)))
	}
	if len(changed) > 0 {
		p.line(indent+2, below+"→ "+strings.Join(changed, "; "))
	}
	if s.Ignored && s.Type != events.TypeMessageRefused {
		p.line(indent, below+"→ counts for nothing")
	}
	if list := causes(s.Because); list != "" {
		p.line(indent+2, below+"← "+strings.TrimPrefix(list, ", because: "))
	}
}

// symbolOf are those of `up`.
func symbolOf(t events.Type) (symbol, colour string) {
	switch t {
	case events.TypePlanDecided:
		return "»", Bold
	case events.TypeActionSucceeded:
		return "✓", Green
	case events.TypeActionFailed:
		return "✗", Red
	case events.TypeActionRefused:
		return "–", Yellow
	}
	if t.IsAction() {
		return "›", Bold
	}
	return "·", ""
}
