package buslog

import (
	"fmt"
	"strings"
)

// maxText bounds a line. What the server writes of its own accord about a client is
// shorter, whatever subjects and names it has: each has less than 4 KiB, and quotes
// make no more than four times that.
const maxText = 64 << 10

// Text is what a server says, of the format and the values that it hands to its
// logger. It puts a client's name into the format, where what looks like a verb
// would take the place of what it says, or ask for a gigabyte of blanks; here the
// name stays as it is. Longer texts are cut.
func Text(format string, values []any) string {
	text := format
	if len(values) > 0 {
		said := ""
		if at := head.FindStringIndex(format); at != nil {
			said, format = format[:at[1]], format[at[1]:]
		}
		text = said + fmt.Sprintf(format, values...)
	}
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}
