package render

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/fleetfold/fleetfold/internal/cli"
)

// Colour says whether w should be written to in colours: on a terminal, unless
// NO_COLOR is set or the terminal is dumb.
func Colour(w io.Writer) bool { return cli.Colour(w) }

// The colours of this package, as parameters of the terminal's SGR sequence.
const (
	Red     = "31"
	Green   = "32"
	Yellow  = "33"
	Magenta = "35"
	Bold    = "1"
)

// Paint puts text in a colour; the empty colour leaves it as it is.
func Paint(colour, text string) string {
	if colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// JSON writes v indented and with a newline at its end.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Count is a number with its noun, such as "1 node" or "2 nodes".
func Count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// Posture names what an enforcement is.
func Posture(strict bool) string {
	if strict {
		return "strict"
	}
	return "permissive"
}
