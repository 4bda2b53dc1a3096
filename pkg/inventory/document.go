package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// readDocument returns the root of the one YAML document in data, or nil, and
// what is wrong with the file as a whole. Both may be given: a second document
// does not hide what is wrong with the first.
func readDocument(data []byte) (*yaml.Node, []Problem) {
	if p, bad := badText(data); bad {
		return nil, []Problem{p}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decode(dec, &doc); {
	case errors.Is(err, io.EOF):
		return nil, []Problem{emptyDocument()}
	case err != nil:
		return nil, []Problem{syntaxProblem(data, err)}
	}
	problems := afterFirst(dec, data)
	if len(doc.Content) != 1 || isNull(doc.Content[0]) {
		return nil, append([]Problem{emptyDocument()}, problems...)
	}
	return doc.Content[0], problems
}

func emptyDocument() Problem {
	return Problem{Tag: TagParseError, Line: 1, Message: "the document is empty: trust_domain and quorum are required"}
}

// afterFirst reports what follows the first document.
func afterFirst(dec *yaml.Decoder, data []byte) []Problem {
	var next yaml.Node
	switch err := decode(dec, &next); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return []Problem{syntaxProblem(data, err)}
	}
	return []Problem{{
		Tag: TagParseError, Line: max(next.Line, 1),
		Message: "a second yaml document begins here: one file holds one inventory",
	}}
}

// decode turns a panic of the YAML library into an error, because this package
// promises an answer to any bytes.
func decode(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser gave up: %v", r)
		}
	}()
	return dec.Decode(into)
}

// badText finds the first byte that no YAML file may hold. The YAML library
// refuses these too, but does not say on which line they are, and it would let
// UTF-16 pass.
func badText(data []byte) (Problem, bool) {
	line := 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		message := ""
		switch {
		case r == utf8.RuneError && size <= 1:
			message = fmt.Sprintf("the file is not utf-8: byte 0x%02x", data[i])
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', 0x7f <= r && r <= 0x9f && r != 0x85:
			message = fmt.Sprintf("the control character U+%04X is not allowed", r)
		case r == '\n':
			line++
		}
		if message != "" {
			return Problem{Tag: TagParseError, Line: line, Message: message}, true
		}
		i += size
	}
	return Problem{}, false
}

// syntaxProblem takes the line out of an error of the YAML library, which has
// no field for it.
func syntaxProblem(data []byte, err error) Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1 // the library names no line when it means the first
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, message = n, text
			if fromParser(text) {
				line++
			}
		}
	}
	if rest, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		line = lineOfAlias(data, name)
	}
	// What is missing at the end of the file is missed on the line after the last.
	last := bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) + 1
	return Problem{Tag: TagParseError, Line: min(line, last), Message: "yaml syntax: " + message}
}

// fromParser knows the messages of the library's parser. Unlike its scanner,
// the parser counts lines from 0.
func fromParser(message string) bool {
	for _, begin := range []string{
		"did not find expected key", "did not find expected ','", "did not find expected '-' indicator",
		"did not find expected node content", "did not find expected <document start>", "found undefined tag handle",
	} {
		if strings.HasPrefix(message, begin) {
			return true
		}
	}
	return false
}

// lineOfAlias is where the alias *name stands first, or 1.
func lineOfAlias(data []byte, name string) int {
	alias, line := []byte("*"+name), 1
	for text := range bytes.Lines(data) {
		code, _, _ := bytes.Cut(text, []byte(" #"))
		_, after, found := bytes.Cut(code, alias)
		if found && (len(after) == 0 || bytes.ContainsAny(after[:1], " \t\r\n,]}:")) {
			return line
		}
		line++
	}
	return 1
}
