package inventory

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// quotedBytes bounds how much of a file's text goes into one message or path.
const quotedBytes = 64

// quote shows s to a person: in double quotes, with what cannot be printed
// escaped, and cut when it is long.
func quote(s string) string {
	if len(s) <= quotedBytes {
		return strconv.Quote(s)
	}
	cut := quotedBytes
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "..."
}

// didYouMean returns a hint that names the known word nearest to word, or
// nothing when none is near.
func didYouMean(word string, known []string) string {
	if len(word) > quotedBytes { // also keeps the cost per key constant
		return ""
	}
	folded := strings.ReplaceAll(lowerASCII(word), "-", "_")
	best, nearest := "", 0
	for _, k := range known {
		d := distance(folded, strings.ReplaceAll(k, "-", "_"))
		// A short word is near to everything: allow one slip in three letters.
		if d <= max(1, len(k)/3) && (best == "" || d < nearest) {
			best, nearest = k, d
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// distance is the number of letters to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
