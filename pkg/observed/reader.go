package observed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// reader walks over text that is known to be one JSON value, token by token,
// and collects what does not fit. encoding/json alone takes "ID" for "id", the
// last of two equal keys, and nothing at all for false.
type reader struct {
	dec  *json.Decoder
	data []byte
	// at is the offset behind the last token, line the line it stands on. No
	// token has a line break inside.
	at       int64
	line     int
	problems []Problem
}

func newReader(data []byte) *reader {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a number too big for a float is still only of the wrong type
	return &reader{dec: dec, data: data, line: 1}
}

func (r *reader) report(p Problem) { r.problems = append(r.problems, p) }

func (r *reader) next() json.Token {
	token, err := r.dec.Token()
	if err != nil {
		return nil // not reached: the text was read once before
	}
	end := r.dec.InputOffset()
	r.line += bytes.Count(r.data[r.at:end], []byte{'\n'})
	r.at = end
	return token
}

// object reads an object that has exactly the given keys. read is called at
// the value of each, and reads it.
func (r *reader) object(path string, keys []string, read func(key, path string)) {
	token := r.next()
	line := r.line
	if token != json.Delim('{') {
		r.wrong(path, "an object", token)
		return
	}
	seen := make(map[string]int, len(keys))
	for r.dec.More() {
		key, _ := r.next().(string)
		switch first, twice := seen[key]; {
		case twice:
			r.report(Problem{join(path, key), r.line, fmt.Sprintf("key %q is given twice, first on line %d", key, first)})
			r.skip(r.next())
		case !slices.Contains(keys, key):
			r.report(Problem{join(path, key), r.line, fmt.Sprintf("unknown key %q: the keys here are %s", key, strings.Join(keys, ", "))})
			seen[key] = r.line
			r.skip(r.next())
		default:
			seen[key] = r.line
			read(key, join(path, key))
		}
	}
	r.next()
	for _, key := range keys {
		if _, ok := seen[key]; !ok {
			r.report(Problem{join(path, key), line, fmt.Sprintf("key %q is missing", key)})
		}
	}
}

// list reads a list; read is called at each element, and reads it.
func (r *reader) list(path string, read func(path string)) {
	if token := r.next(); token != json.Delim('[') {
		r.wrong(path, "a list", token)
		return
	}
	for i := 0; r.dec.More(); i++ {
		read(fmt.Sprintf("%s[%d]", path, i))
	}
	r.next()
}

func (r *reader) boolean(path string) bool {
	token := r.next()
	b, ok := token.(bool)
	if !ok {
		r.wrong(path, "true or false", token)
	}
	return b
}

func (r *reader) text(path string) (string, bool) {
	token := r.next()
	s, ok := token.(string)
	if !ok {
		r.wrong(path, "a string", token)
	}
	return s, ok
}

// wrong reports a value of the wrong type, which begins with token, and skips it.
func (r *reader) wrong(path, want string, token json.Token) {
	r.report(Problem{path, r.line, fmt.Sprintf("must be %s, not %s", want, kind(token))})
	r.skip(token)
}

// skip goes to the end of the value that begins with token.
func (r *reader) skip(token json.Token) {
	depth := 0
	for {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return
		}
		token = r.next()
	}
}

func kind(token json.Token) string {
	switch t := token.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(t)
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case json.Delim:
		if t == '[' {
			return "a list"
		}
	}
	return "an object"
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join appends a key to a path.
func join(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	}
	return path + "." + key
}
