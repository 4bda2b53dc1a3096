package events

import (
	"bytes"
	"errors"
	"testing"
)

// fuzzHeader makes a header of lines "name: value", so that the fuzzer can
// double, spoil and invent attributes.
func fuzzHeader(text []byte) map[string][]string {
	header := make(map[string][]string)
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		name, value, _ := bytes.Cut(line, []byte(": "))
		header[string(name)] = append(header[string(name)], string(value))
	}
	return header
}

// Any message is an event or a refusal. An event can be written again, in both
// modes, and means the same when it is read back.
func FuzzDecode(f *testing.F) {
	for _, d := range registry {
		e, structured := example(f, d.Type)
		f.Add(structured.Subject, []byte("Content-Type: application/cloudevents+json"), structured.Data)
		m, err := Encode(DefaultSubjects(), e)
		if err != nil {
			f.Fatal(err)
		}
		var lines []byte
		for name, values := range m.Header {
			lines = append(append(append(append(lines, name...), ": "...), values[0]...), '\n')
		}
		f.Add(m.Subject, lines, m.Data)
	}
	f.Fuzz(func(t *testing.T, subject string, header, body []byte) {
		s := DefaultSubjects()
		m := Message{Subject: subject, Header: fuzzHeader(header), Data: body}
		e, err := Decode(s, m)
		if err != nil {
			var r *Refusal
			if e != nil || !errors.As(err, &r) || r.Reason == "" || r.Detail == "" {
				t.Fatalf("refused with %v, %v", e, err)
			}
			return
		}
		again, err := EncodeTo(subject, e)
		if err != nil {
			t.Fatalf("decoded, but cannot be encoded: %v", err)
		}
		back, err := Decode(s, again)
		if err != nil {
			t.Fatalf("encoded, but cannot be decoded: %v", err)
		}
		if back.ID != e.ID || back.Source != e.Source || back.Node != e.Node || back.Time != e.Time || !bytes.Equal(back.Body, e.Body) {
			t.Fatalf("%+v became %+v", e, back)
		}
		if _, err := e.CloudEvent(); err != nil {
			t.Fatalf("the SDK refuses it: %v", err)
		}
	})
}

func FuzzParseToken(f *testing.F) {
	for _, s := range []string{"", "n1", "n%2E1", "%2Drf", "n%2e1", "%C0%A0", "%", "a%2", "@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, err := ParseToken(token)
		if err == nil && Token(id) != token {
			t.Fatalf("%q gives %q, whose token is %q", token, id, Token(id))
		}
	})
}

// Whatever bytes come, the schema check says yes or why not.
func FuzzCheckSchema(f *testing.F) {
	for i, d := range registry {
		e, _ := example(f, d.Type)
		f.Add(uint(i), e.Body)
	}
	f.Fuzz(func(t *testing.T, row uint, body []byte) {
		typ := registry[row%uint(len(registry))].Type
		err := CheckSchema(typ, body)
		var r *Refusal
		if err != nil && !errors.As(err, &r) {
			t.Fatalf("the schemas are broken: %v", err)
		}
	})
}
