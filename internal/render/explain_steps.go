package render

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

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
