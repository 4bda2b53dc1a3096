package bench

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes a report as a table for a page: what was measured, its
// floor, what it must reach and whether it does.
func WriteMarkdown(w io.Writer, report Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", report.Machine)
	b.WriteString("| name | value | floor | ratio | must | aim | reached | what |\n| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |\n")
	rows := Rows()
	for _, r := range report.Results {
		row := rowOf(rows, r.Name)
		fmt.Fprintf(&b, "| `%s` | %s %s | %s | %s | %s | %s | %s | %s |\n", r.Name, number(r.Value), r.Unit,
			optional(r.Floor, number), optional(r.Ratio, ratioText), row.Bound, row.Bound.aim(), row.Bound.reached(r), row.Help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// aim is the bound's higher limit as String shows the lower.
func (b Bound) aim() string {
	if b.Aim == b.Must {
		return "-"
	}
	b.Must = b.Aim
	return b.String()
}

func (b Bound) reached(r Result) string {
	higher := b
	higher.Must = b.Aim
	switch {
	case b == Bound{}:
		return "-"
	case !b.Met(r):
		return "**short**"
	case b.Aim != b.Must && higher.Met(r):
		return "aim"
	}
	return "yes"
}

// String is the machine in one line: system, cores, processor, memory, Go.
func (m Machine) String() string {
	parts := []string{m.OS + "/" + m.Arch, fmt.Sprintf("%d cores", m.Cores)}
	if m.CPU != "" {
		parts = append(parts, m.CPU)
	}
	if m.MemoryBytes > 0 {
		parts = append(parts, fmt.Sprintf("%.1f GiB", float64(m.MemoryBytes)/(1<<30)))
	}
	return strings.Join(append(parts, m.Go), ", ")
}
