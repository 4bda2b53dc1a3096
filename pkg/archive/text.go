package archive

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deeply data may be nested to stand in a line as it is; package
// json gives up at ten thousand.
const maxDepth = 5000

// appendString writes a JSON string in its one spelling.
func appendString(dst []byte, s string) []byte {
	if !plain(s) {
		return appendEscaped(dst, s)
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func appendEscaped(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("archive: a string has no JSON: " + err.Error())
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte{'\n'})...)
}

// appendText writes a text under its name, or in base64 under the same with 64
// where it is not UTF-8.
func appendText(dst []byte, name, text string) []byte {
	if utf8.ValidString(text) {
		return appendString(append(dst, `,"`+name+`":`...), text)
	}
	return appendString(append(dst, `,"`+name+`64":`...), base64.StdEncoding.EncodeToString([]byte(text)))
}

// verbatim says whether data can stand in a line as it is, and be found again.
func verbatim(data []byte) bool {
	if len(data) == 0 || data[0] == ' ' || data[len(data)-1] == ' ' || !utf8.Valid(data) {
		return false
	}
	if slices.ContainsFunc(data, func(c byte) bool { return c < 0x20 }) {
		return false
	}
	return bytes.Count(data, []byte{'{'})+bytes.Count(data, []byte{'['}) < maxDepth && json.Valid(data)
}

// parser takes a line apart. It is not strict: what it read is written again and
// compared with the line, so that every byte counts.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) fail() { p.bad, p.rest = true, nil }

// has takes a piece of text if it comes next.
func (p *parser) has(text string) bool {
	if len(p.rest) < len(text) || string(p.rest[:len(text)]) != text {
		return false
	}
	p.rest = p.rest[len(text):]
	return true
}

func (p *parser) want(text string) {
	if !p.has(text) {
		p.fail()
	}
}

func (p *parser) number() uint64 {
	digits := 0
	for digits < len(p.rest) && '0' <= p.rest[digits] && p.rest[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseUint(string(p.rest[:digits]), 10, 64)
	if err != nil {
		p.fail()
		return 0
	}
	p.rest = p.rest[digits:]
	return n
}

func (p *parser) string() string {
	if len(p.rest) == 0 || p.rest[0] != '"' {
		p.fail()
		return ""
	}
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			s := string(p.rest[1:i])
			p.rest = p.rest[i+1:]
			return s
		case c == '\\':
			return p.escaped(i)
		}
	}
	p.fail()
	return ""
}

// escaped reads a string whose first backslash is at i.
func (p *parser) escaped(i int) string {
	for ; i < len(p.rest) && p.rest[i] != '"'; i++ {
		if p.rest[i] == '\\' {
			i++
		}
	}
	var s string
	if i >= len(p.rest) || json.Unmarshal(p.rest[:i+1], &s) != nil {
		p.fail()
		return ""
	}
	p.rest = p.rest[i+1:]
	return s
}

// text is the inverse of appendText.
func (p *parser) text(name string) string {
	if p.has(`,"` + name + `":`) {
		return p.string()
	}
	p.want(`,"` + name + `64":`)
	return p.base64()
}

func (p *parser) base64() string {
	raw, err := base64.StdEncoding.DecodeString(p.string())
	if err != nil {
		p.fail()
	}
	return string(raw)
}
