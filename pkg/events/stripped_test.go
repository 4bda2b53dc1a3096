package events

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// onTheWay is m as a transport hands it out, which added headers of its own.
func onTheWay(m Message, add map[string][]string) Message {
	header := map[string][]string{"Via-Stream": {"S"}, "Via-Batch": {"1"}}
	maps.Copy(header, m.Header)
	maps.Copy(header, add)
	return Message{Subject: m.Subject, Header: header, Data: m.Data}
}

func TestAStrippedMessageIsDecodedAsItWasWritten(t *testing.T) {
	for _, d := range registry {
		m := binaryOf(t, d.Type)
		want, err := Decode(DefaultSubjects(), m)
		if err != nil {
			t.Fatal(err)
		}
		for name, add := range map[string]map[string][]string{
			"as it is":                      nil,
			"with a header of its own":      {"Trace": {"t"}},
			"with a Content-Type":           {"Content-Type": {"application/json"}},
			"with an extension not of ours": {"ce-other": {"o"}},
		} {
			own := maps.Clone(m.Header)
			maps.Copy(own, add)
			got := onTheWay(m, add)
			e, err := DecodeStripped(DefaultSubjects(), got, "Via-")
			if err != nil || !reflect.DeepEqual(e, want) {
				t.Errorf("%s %s: %+v, %v", d.Type, name, e, err)
			}
			if !reflect.DeepEqual(got.Header, own) {
				t.Errorf("%s %s: headers %v are left", d.Type, name, got.Header)
			}
		}
	}
}

// A misfit is on the log, too, and whoever copies or hashes it wants the headers
// that its writer gave it.
func TestAMisfitIsStripped(t *testing.T) {
	good := binaryOf(t, TypeNodeLeft)
	for name, spoil := range map[string]func(*Message){
		"too large": func(m *Message) { m.Data = make([]byte, MaxBodyBytes+1) },
		"no event": func(m *Message) {
			maps.DeleteFunc(m.Header, func(k string, _ []string) bool { return strings.HasPrefix(k, "ce-") })
		},
		"two content types":       func(m *Message) { m.Header["Content-Type"] = []string{"a", "b"} },
		"an attribute twice":      func(m *Message) { m.Header["CE-ID"] = []string{"again"} },
		"an attribute of two":     func(m *Message) { m.Header["ce-id"] = []string{"a", "b"} },
		"an escape that ends":     func(m *Message) { m.Header["ce-id"] = []string{"%2"} },
		"an attribute is missing": func(m *Message) { delete(m.Header, "ce-id") },
		"data of another type":    func(m *Message) { m.Data = []byte(`{"x":1}`) },
		"another subject":         func(m *Message) { m.Subject = "fleet.events.plan" },
		"structured, and broken":  func(m *Message) { m.Header["Content-Type"] = []string{"application/cloudevents+json"} },
	} {
		t.Run(name, func(t *testing.T) {
			m := onTheWay(good, nil)
			spoil(&m)
			own := slices.DeleteFunc(slices.Sorted(maps.Keys(m.Header)), func(k string) bool { return strings.HasPrefix(k, "Via-") })
			_, plain := Decode(DefaultSubjects(), m)
			if e, err := DecodeStripped(DefaultSubjects(), m, "Via-"); e != nil || err == nil || err.Error() != plain.Error() {
				t.Errorf("got %+v, %v; without stripping %v", e, err, plain)
			}
			if left := slices.Sorted(maps.Keys(m.Header)); !slices.Equal(left, own) {
				t.Errorf("headers %q are left, want %q", left, own)
			}
		})
	}
}

// The quick look at headers finds what the thorough one finds.
func TestHeadersAreReadAlikeBothWays(t *testing.T) {
	for _, d := range registry {
		m := binaryOf(t, d.Type)
		var quick, thorough attributes
		if !quick.quick(m.Header) {
			t.Errorf("%s: headers as we write them are not read the quick way", d.Type)
		}
		if _, misfit, err := thorough.readHeaders(m.Header, ""); misfit != nil || err != nil || quick != thorough {
			t.Errorf("%s: %q, %v, %v; the quick way %q", d.Type, thorough, misfit, err, quick)
		}
		m.Header["ce-more"] = []string{"x"}
		if quick = (attributes{}); quick.quick(m.Header) {
			t.Errorf("%s: a header that is no attribute was passed over", d.Type)
		}
	}
}

// The quick look at a subject knows what the registry says of it.
func TestNodeFactsAreOnTheSubjectOfTheirNode(t *testing.T) {
	s := DefaultSubjects()
	for typ, f := range forms {
		e, _ := example(t, typ)
		subject := s.prefix + "." + f.tail(e)
		if f.isNodeFact() != (subject == s.Node(e.Node)) {
			t.Errorf("%s belongs on %s, a node fact: %v", typ, subject, f.isNodeFact())
		}
		for _, other := range []string{"", "fleet", "fleet.events.node.", subject + "x", subject + ".x", "x" + subject, strings.ToUpper(subject), subject[:len(subject)-1]} {
			if s.isNode(other, e.Node) {
				t.Errorf("%q is taken for the subject of %s", other, e.Node)
			}
		}
	}
}

func TestSpecialBytesAreFoundInEveryPlace(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for _, c := range []byte{'"', '\\', 0, 0x1F, 0x80, 0xFF, ' ', '!', '#', '[', ']', 0x7F} {
				text := []byte(strings.Repeat("~", n))
				text[at] = c
				for from := range n {
					want := n
					if (c == '"' || c == '\\' || c < ' ' || c >= 0x80) && at >= from {
						want = at
					}
					if got := special(text, from); got != want {
						t.Fatalf("%q from %d: %d, want %d", text, from, got, want)
					}
				}
			}
		}
	}
}
