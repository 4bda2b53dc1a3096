package cli

import (
	"io"
	"os"
)

// Width is how many columns the terminal has that w writes to; 0 where it is
// none, or does not say.
func Width(w io.Writer) int {
	if f, ok := w.(*os.File); ok && IsTerminal(w) {
		columns, _ := terminalSize(f)
		return columns
	}
	return 0
}
