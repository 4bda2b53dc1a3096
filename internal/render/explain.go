package render

import (
	"bufio"
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
