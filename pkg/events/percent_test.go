package events

import (
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestPercentEncode(t *testing.T) {
	for in, want := range map[string]string{
		"Euro € 😀": "Euro%20%E2%82%AC%20%F0%9F%98%80",
		`a"b%c`:    "a%22b%25c",
		"!~":       "!~",
		"\x7f\n":   "%7F%0A",
		"":         "",
	} {
		if got := percentEncode(in); got != want {
			t.Errorf("percentEncode(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHeaderValueReads(t *testing.T) {
	for why, c := range map[string]struct{ in, want string }{
		"upper-case hex":                        {"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"},
		"lower-case hex":                        {"%e2%82%ac", "€"},
		"a needless encoding":                   {"%41", "A"},
		"one decoding only":                     {"%2541", "%41"},
		"a quoted value":                        {`"a b"`, "a b"},
		"a quoted value with backslashes":       {`"a \"b\" \\"`, `a "b" \`},
		"quotes first, then escapes":            {`"%22a%22"`, `"a"`},
		"a quote that is not the first":         {`a"b`, `a"b`},
		"a value that was not encoded, as sent": {"€", "€"},
	} {
		if got, err := headerValue(c.in); err != nil || got != c.want {
			t.Errorf("%s: headerValue(%q) = %q, %v, want %q", why, c.in, got, err, c.want)
		}
	}
}

func TestHeaderValueRefuses(t *testing.T) {
	for why, in := range map[string]string{
		"an overlong encoding":             "%C0%A0",
		"half a character":                 "%E2%82",
		"a surrogate":                      "%ED%A0%80",
		"raw bytes that are not UTF-8":     "\xff",
		"a lone percent sign":              "100%",
		"one digit":                        "%4",
		"digits that are not hex":          "%4G",
		"a quote that is not closed":       `"a`,
		"a quote that is closed too early": `"a"b`,
		"a backslash at the end":           `"a\`,
		"an escaped closing quote":         `"a\"`,
		"only a quote":                     `"`,
	} {
		if got, err := headerValue(in); err == nil {
			t.Errorf("%s: %q is read as %q", why, in, got)
		}
	}
}

func TestPercentEncodingLeadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		e := percentEncode(s)
		for i := range len(e) {
			if e[i] <= ' ' || e[i] > '~' || e[i] == '"' {
				t.Fatalf("%q is written as %q", s, e)
			}
		}
		back, err := headerValue(e)
		if utf8.ValidString(s) != (err == nil) || err == nil && back != s {
			t.Fatalf("%q is written as %q, which reads %q, %v", s, e, back, err)
		}
	})
}
