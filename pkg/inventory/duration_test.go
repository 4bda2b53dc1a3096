package inventory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var units = map[time.Duration][]string{
	time.Second:        {"s", "sec", "secs", "second", "seconds"},
	time.Minute:        {"m", "min", "mins", "minute", "minutes"},
	time.Hour:          {"h", "hr", "hrs", "hour", "hours"},
	24 * time.Hour:     {"d", "day", "days"},
	7 * 24 * time.Hour: {"w", "wk", "wks", "week", "weeks"},
}

func TestParseDurationAccepts(t *testing.T) {
	cases := map[string]time.Duration{
		"1h": time.Hour, "1 H": time.Hour, " 15 MINUTES ": 15 * time.Minute, "2wks": 14 * 24 * time.Hour,
		"007d": 7 * 24 * time.Hour, "5M": 5 * time.Minute, "0s": 0, "\u00a05\u2003min\n": 5 * time.Minute,
		"106751d": 106751 * 24 * time.Hour, "9223372036s": 9223372036 * time.Second,
		strings.Repeat("0", 1000) + "1s": time.Second,
	}
	for unit, words := range units {
		for _, word := range words {
			cases["3"+word], cases["3 "+strings.ToUpper(word)] = 3*unit, 3*unit
		}
	}
	for text, want := range cases {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for sentence, text := range map[string]string{
		"empty": "", "blank": " \t", "no unit": "90", "no number": "h", "two units": "1h30m", "two units apart": "1h 30m",
		"a fraction": "1.5h", "a minus": "-5m", "a plus": "+5m", "milliseconds": "5ms", "years": "1y", "full-width digits": "５m",
		"arabic digits": "٥m", "a kelvin sign": "1w\u212a", "a unit first": "h1", "a comma": "1,000s", "hexadecimal": "0x5m",
		"just too long": "9223372037s", "where the reference panics": "106751991168d", "more digits than any integer": "99999999999999999999999s",
		"overflow by the unit": "9223372036854775807w",
	} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%s: ParseDuration(%q) = %v, want an error", sentence, text, d)
		}
	}
}

func TestParseDurationLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}).Draw(t, "unit")
		word := rapid.SampledFrom(units[unit]).Draw(t, "word")
		n := rapid.Int64Range(0, 15250).Draw(t, "n") // 15250 weeks still fit
		space := rapid.SampledFrom([]string{"", " ", "\t\u2003"})
		text := fmt.Sprint(space.Draw(t, "before"), strings.Repeat("0", rapid.IntRange(0, 3).Draw(t, "zeros")), n, space.Draw(t, "between"), word, space.Draw(t, "after"))
		got, err := ParseDuration(text)
		if err != nil || got != time.Duration(n)*unit {
			t.Fatalf("ParseDuration(%q) = %v, %v", text, got, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"1h", " 15 MINUTES ", "007d", "", "90", "1h30m", "-5m", "５m", "106751991168d", "0s", "1\u0085w"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if d < 0 || (err != nil && d != 0) || d%time.Second != 0 {
			t.Fatalf("ParseDuration(%q) = %d, %v", s, d, err)
		}
		if again, err2 := ParseDuration(" " + s + "\t"); again != d || (err == nil) != (err2 == nil) {
			t.Fatalf("white space around %q changes it to %v, %v", s, again, err2)
		}
	})
}
