package observed

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	// Path leads to the value, such as nodes[2].id; empty when the problem is
	// about the file as a whole.
	Path string `json:"path"`
	// Line counts from 1.
	Line int `json:"line"`
	// Message is one sentence in lower case without path and line.
	Message string `json:"message"`
}

// String puts the problem on one line.
func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Message)
	}
	return fmt.Sprintf("line %d: %s: %s", p.Line, p.Path, p.Message)
}

// Error carries every problem of one file, in the order of their lines.
type Error struct {
	Problems []Problem
}

// Error lists every problem on a line of its own.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "observed state has %d problem", len(e.Problems))
	if len(e.Problems) != 1 {
		b.WriteByte('s')
	}
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}
