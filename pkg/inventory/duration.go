package inventory

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a whole number and one unit, such as 1h, 15 minutes or
// 2wks. White space around the text and between number and unit does not count,
// nor does the case of the unit. There is no sign, no fraction and no second
// unit. Zero is a duration here; an inventory refuses it.
//
// The units: s sec secs second seconds, m min mins minute minutes, h hr hrs hour
// hours, d day days, w wk wks week weeks. What does not fit a time.Duration
// (about 292 years) is an error.
func ParseDuration(s string) (time.Duration, error) {
	text := strings.TrimSpace(s)
	if text == "" {
		return 0, errors.New("duration is empty: write a whole number and a unit, such as 15m")
	}
	digits := 0
	for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
		digits++
	}
	if digits == 0 {
		return 0, fmt.Errorf("duration %s does not begin with a digit: write a whole number and a unit, such as 15m", quote(s))
	}
	word := strings.TrimSpace(text[digits:])
	if word == "" {
		return 0, fmt.Errorf("duration %s has no unit: write s, m, h, d or w after the number", quote(s))
	}
	unit := unitOf(word)
	if unit == 0 {
		return 0, fmt.Errorf("duration %s must be one whole number and one unit of s, m, h, d or w, not %s", quote(s), quote(word))
	}
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("duration %s is too long: at most about 292 years fit", quote(s))
	}
	return time.Duration(n) * unit, nil
}

// unitOf returns 0 for a word that is not a unit.
func unitOf(word string) time.Duration {
	switch lowerASCII(word) {
	case "s", "sec", "secs", "second", "seconds":
		return time.Second
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return 24 * time.Hour
	case "w", "wk", "wks", "week", "weeks":
		return 7 * 24 * time.Hour
	}
	return 0
}

// lowerASCII folds A to Z only. strings.ToLower would also turn the Kelvin sign
// into a k and so accept a unit that nobody can tell from the real one.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
