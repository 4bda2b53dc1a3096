package main

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// stepPage is a page of exactly that size at most, with the status in its last
// line. Lines end as a terminal in raw mode needs it.
func stepPage(f frame, status string, width, height int) string {
	lines := stepLines(f, max(height-2, 4))
	for i, line := range lines {
		lines[i] = cutLine(line, width)
	}
	lines = append(lines, "", cutLine(status, width))
	return strings.Join(lines, "\r\n")
}

// stepLines are at most that many.
func stepLines(f frame, most int) []string {
	if f.Number == 0 {
		return []string{"Nothing was ever decided in this history."}
	}
	d := f.PlanDecided
	lines := []string{
		fmt.Sprintf("decision %d: %s at sequence %d, decided on %d at %s", f.Number, d.Plan, f.Sequence, d.Basis, exactTime(d.DecidedAt)),
		fmt.Sprintf("inventory generation %d, rule %s%s", d.Generation, d.RuleVersion, waitingFor(f)),
		fmt.Sprintf("the fold at %d: %s observed, %d present, %d signing, %s, %d in flight", d.Basis, render.Count(f.Nodes, "node"), f.Present, f.Signing, render.Posture(f.Strict), f.Outstanding),
	}
	parts := [][]string{publishedLines(f), heldLines(f), changeLines(f), logLines(f)}
	room := max(most-len(lines), len(parts))
	for i, part := range parts {
		// What is left is shared evenly among this part and those behind it, and what
		// a short one leaves is theirs.
		share := room / (len(parts) - i)
		part = fit(part, share)
		lines, room = append(lines, part...), room-len(part)
	}
	return lines[:min(len(lines), most)]
}

func waitingFor(f frame) string {
	if f.Settled {
		return ""
	}
	if f.Waiting == "" {
		return ", not settled"
	}
	return ", not settled: " + f.Waiting
}

// fit cuts a part to a number of lines, and says in the last one how many more.
func fit(part []string, most int) []string {
	if len(part) <= most || most < 1 {
		return part[:min(len(part), max(most, 0))]
	}
	cut := append([]string{}, part[:most-1]...)
	return append(cut, fmt.Sprintf("  … and %d more", len(part)-len(cut)))
}

func publishedLines(f frame) []string {
	lines := []string{"", "published"}
	for i, a := range f.Actions {
		lines = append(lines, fmt.Sprintf("  %d. %s  attempt %d  %s", i+1, actionText(fleet.Action{Type: a.Type, ID: a.ID}), a.Attempt, a.Action))
	}
	return lines
}

func heldLines(f frame) []string {
	if f.HeldTotal == 0 {
		return nil
	}
	lines := []string{"", fmt.Sprintf("held (%d)", f.HeldTotal)}
	for _, h := range f.Held {
		lines = append(lines, fmt.Sprintf("  %s  %s: %s", actionText(h.Action), h.Reason, h.Detail))
	}
	return lines
}

func changeLines(f frame) []string {
	if f.Would == nil {
		return nil
	}
	d, differs := f.Diverges()
	if !differs {
		return []string{"", "with the change: the same"}
	}
	lines := []string{"", "with the change"}
	for _, a := range d.Added {
		lines = append(lines, "  also  "+actionText(a))
	}
	for _, a := range d.Missing {
		lines = append(lines, "  not   "+actionText(a))
	}
	for _, h := range d.Held {
		lines = append(lines, fmt.Sprintf("  held  %s  %s: %s", actionText(h.Action), h.Reason, h.Detail))
	}
	return lines
}

// logLines are the newest, so that the last stands next to the decision.
func logLines(f frame) []string {
	if f.Since == 0 {
		return nil
	}
	lines := []string{"", fmt.Sprintf("since the decision before (%s)", render.Count(f.Since, "record"))}
	for _, line := range f.Lines {
		lines = append(lines, "  "+line)
	}
	return lines
}

// cutLine keeps what fits into a line of the terminal, and nothing that moves its
// cursor.
func cutLine(line string, width int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, line))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:max(width-1, 0)]) + "…"
}
