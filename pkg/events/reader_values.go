package events

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/bits"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// space skips white space.
func space(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\n' || text[0] == '\t' || text[0] == '\r') {
		text = text[1:]
	}
	return text
}

// skip skips white space and the byte c, if it comes next.
func skip(text []byte, c byte) ([]byte, bool) {
	if text = space(text); len(text) == 0 || text[0] != c {
		return text, false
	}
	return text[1:], true
}

// quoted cuts off a string, still with its quotes and escapes, if it is UTF-8.
func quoted(text []byte) (raw, rest []byte, escaped, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return nil, nil, false, false
	}
	ascii := true
	for i := special(text, 1); i < len(text); i = special(text, i) {
		switch c := text[i]; {
		case c == '"':
			raw, rest = text[:i+1], text[i+1:]
			return raw, rest, escaped, ascii || utf8.Valid(raw)
		case c == '\\':
			escaped = true
			i += 2
		case c >= utf8.RuneSelf:
			ascii = false
			i++
		default:
			return nil, nil, false, false
		}
	}
	return nil, nil, false, false
}

// special is the first place from i on of a quote, a backslash, a control
// character or one beyond ASCII; len(text) or more without one. It looks at eight
// bytes at a time: the lowest bit set in each mask is that of a true hit.
func special(text []byte, i int) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(text); i += 8 {
		word := binary.LittleEndian.Uint64(text[i:])
		quote, backslash := word^each*'"', word^each*'\\'
		if hit := (word | (word - each*' ') | (quote-each)&^quote | (backslash-each)&^backslash) & high; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c == '"' || c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			return i
		}
	}
	return i
}

// plainString is the inside of a string without escapes.
func plainString(text []byte) (inside, rest []byte, ok bool) {
	raw, rest, escaped, ok := quoted(text)
	if !ok || escaped {
		return nil, nil, false
	}
	return raw[1 : len(raw)-1], rest, true
}

func readString(text []byte, v reflect.Value) ([]byte, bool) {
	raw, rest, escaped, ok := quoted(text)
	if !ok {
		return nil, false
	}
	if !escaped {
		v.SetString(string(raw[1 : len(raw)-1]))
		return rest, true
	}
	s, ok := unescape(raw[1 : len(raw)-1])
	if !ok {
		if json.Unmarshal(raw, &s) != nil {
			return nil, false
		}
	}
	v.SetString(s)
	return rest, true
}

// unescape undoes the escapes of one letter, such as the ends of the lines of a
// certificate. It leaves code points to encoding/json.
func unescape(inside []byte) (string, bool) {
	var b strings.Builder
	b.Grow(len(inside))
	for {
		at := bytes.IndexByte(inside, '\\')
		if at < 0 {
			b.Write(inside)
			return b.String(), true
		}
		b.Write(inside[:at])
		c := inside[at+1]
		switch c {
		case 'n':
			c = '\n'
		case 't':
			c = '\t'
		case 'r':
			c = '\r'
		case '"', '\\', '/':
		default:
			return "", false
		}
		b.WriteByte(c)
		inside = inside[at+2:]
	}
}

// readTime takes the text between the quotes as it stands, as time.Time does.
func readTime(text []byte, v reflect.Value) ([]byte, bool) {
	inside, rest, ok := plainString(text)
	if !ok {
		return nil, false
	}
	t, ok := v.Addr().Interface().(*time.Time)
	return rest, ok && t.UnmarshalText(inside) == nil
}

func readBool(text []byte, v reflect.Value) ([]byte, bool) {
	if rest, ok := bytes.CutPrefix(text, []byte("false")); ok {
		v.SetBool(false)
		return rest, true
	}
	rest, ok := bytes.CutPrefix(text, []byte("true"))
	v.SetBool(true)
	return rest, ok
}

// digits reads a whole number of at most 18 digits, which fits into any of 64
// bits; one with a fraction or an exponent is none.
func digits(text []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		n = n*10 + uint64(text[i]-'0')
		i++
	}
	switch {
	case i == 0 || i > 18 || i > 1 && text[0] == '0':
		return 0, nil, false
	case i < len(text) && (text[i] == '.' || text[i] == 'e' || text[i] == 'E'):
		return 0, nil, false
	}
	return n, text[i:], true
}

func readUint(text []byte, v reflect.Value) ([]byte, bool) {
	n, rest, ok := digits(text)
	if !ok || v.OverflowUint(n) {
		return nil, false
	}
	v.SetUint(n)
	return rest, true
}

func readInt(text []byte, v reflect.Value) ([]byte, bool) {
	sign := int64(1)
	if len(text) > 0 && text[0] == '-' {
		sign, text = -1, text[1:]
	}
	n, rest, ok := digits(text)
	if !ok || v.OverflowInt(sign*int64(n)) {
		return nil, false
	}
	v.SetInt(sign * int64(n))
	return rest, true
}

// readFloat leaves everything but plain digits to strconv, once it has the form
// that JSON asks for.
func readFloat(text []byte, v reflect.Value) ([]byte, bool) {
	if n, rest, ok := digits(text); ok && n < 1<<53 {
		v.SetFloat(float64(n))
		return rest, true
	}
	end := numberEnd(text)
	f, err := strconv.ParseFloat(string(text[:end]), 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, false
	}
	v.SetFloat(f)
	return text[end:], true
}

// numberEnd is the length of the number that text begins with; 0 without one.
func numberEnd(text []byte) int {
	some := func(i int) int {
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		return i
	}
	is := func(i int, c byte) bool { return i < len(text) && text[i] == c }
	i := 0
	if is(0, '-') {
		i = 1
	}
	whole := some(i)
	if whole == i || whole > i+1 && text[i] == '0' {
		return 0
	}
	i = whole
	if is(i, '.') {
		fraction := some(i + 1)
		if fraction == i+1 {
			return 0
		}
		i = fraction
	}
	if is(i, 'e') || is(i, 'E') {
		i++
		if is(i, '+') || is(i, '-') {
			i++
		}
		exponent := some(i)
		if exponent == i {
			return 0
		}
		i = exponent
	}
	return i
}
