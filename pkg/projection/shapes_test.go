package projection

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"
)

// Whatever the text, what is kept of it in its place, and of what does not fit
// beside it, is that text; and no two texts are kept alike.
func FuzzTextsComeBack(f *testing.F) {
	for _, s := range []string{
		"", "a", "ab", "AB", "sha256:", "sha256:ab", "sha256:a", "sha256:AB", "0123456789abcdef", "0123456789abcdeg", "0123456789abcde`",
		"0123456:89abcdef", "0123456789abcde\x80", strings.Repeat("0f", 16), strings.Repeat("0f", 32), strings.Repeat("0f", 33),
		"sha256:" + strings.Repeat("9a", 32), "sha256:" + strings.Repeat("9a", 33), strings.Repeat("x", 16), strings.Repeat("x", 33), "\x00", "\x00\x00",
	} {
		f.Add(s, s+"0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := wordOf(a), wordOf(b)
		if got := x.text(beyond(x.form, a)); got != a {
			t.Errorf("a word: %q came back as %q", a, got)
		}
		if x == y && x.form != elsewhere && a != b {
			t.Errorf("the words %q and %q are kept alike", a, b)
		}
		key, s := fingerprintOf(a), sessionOf(a)
		if got := key.text(beyond(key.form, a)); got != a {
			t.Errorf("a key: %q came back as %q", a, got)
		}
		if got := s.text(beyond(s.form, a)); got != a {
			t.Errorf("a session: %q came back as %q", a, got)
		}
	})
}

// Eight digits are read at once: each of them must be one.
func TestEachCharacterIsADigitOrNone(t *testing.T) {
	for c := range 256 {
		for at := range 8 {
			digits := []byte("0a9f8b7c")
			digits[at] = byte(c)
			four, ok := fourOf(eight(string(digits)))
			want, err := hex.DecodeString(string(digits))
			isDigit := err == nil && (c < 'A' || c > 'F')
			if ok != isDigit {
				t.Fatalf("%q: %v", digits, ok)
			}
			if ok && string(want) != string([]byte{byte(four), byte(four >> 8), byte(four >> 16), byte(four >> 24)}) {
				t.Fatalf("%q: %x", digits, four)
			}
		}
	}
}

func TestMomentsComeBack(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(0, 1), time.Unix(-1, 999_999_999), time.Unix(1_800_000_000, 7), time.Unix(reach, 0), time.Unix(reach-1, 999_999_999),
		time.Unix(-reach, 0), time.Unix(1-reach, 0), time.Time{}.Add(1), time.Date(9999, 12, 31, 23, 59, 59, 999, time.UTC), time.Unix(math.MaxInt32, 0).In(time.FixedZone("", 60)),
	} {
		m := momentOf(at)
		if got := m.time(aside(m, at)); !got.Equal(at) || got != got.UTC() {
			t.Errorf("%v came back as %v", at, got)
		}
	}
}
