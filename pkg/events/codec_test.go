package events

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func mustDecode(t *testing.T, m Message) *Event {
	t.Helper()
	e, err := Decode(DefaultSubjects(), m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestHeaderNamesComeInAnyCase(t *testing.T) {
	m := binaryOf(t, TypeEnrollNode)
	want := mustDecode(t, m)
	for _, spell := range []func(string) string{strings.ToUpper, func(s string) string { return "Ce-" + strings.ToUpper(s[3:4]) + s[4:] }} {
		other := Message{Subject: m.Subject, Data: m.Data, Header: make(map[string][]string)}
		for name, values := range m.Header {
			other.Header[spell(name)] = values
		}
		if diff := cmp.Diff(want, mustDecode(t, other)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestForeignHeadersArePassedOver(t *testing.T) {
	m := binaryOf(t, TypeNodeLost)
	want := mustDecode(t, m)
	m.Header["Nats-Msg-Id"] = []string{"a", "b"}
	m.Header["ce-"] = []string{"x"}
	m.Header["ce-tracestate"] = []string{"%"}
	m.Header["Content-Type"] = []string{"application/json"}
	if diff := cmp.Diff(want, mustDecode(t, m)); diff != "" {
		t.Error(diff)
	}
}

func TestTimesAreReadInAnyZoneAndKeptInUTC(t *testing.T) {
	m := binaryOf(t, TypeNodeLost)
	m.Header["ce-time"] = []string{"2026-01-02T04:04:05.123456789+01:00"}
	want := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)
	if got := mustDecode(t, m).Time; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAProofTravelsOnTwoSubjects(t *testing.T) {
	e, _ := example(t, TypeCredentialProved)
	s := DefaultSubjects()
	m, err := EncodeTo(s.Credential(e.Node), e)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "fleet.credential.region%2Fnyc%2Fnode-1" {
		t.Errorf("subject is %s", m.Subject)
	}
	if diff := cmp.Diff(e, mustDecode(t, m)); diff != "" {
		t.Error(diff)
	}
	m.Subject = s.Node(e.Node)
	mustDecode(t, m)
}

func TestAnAnswerTravelsOnAnyInbox(t *testing.T) {
	e, _ := example(t, TypeCommandAnswered)
	m, err := EncodeTo("_INBOX.abc.1", e)
	if err != nil {
		t.Fatal(err)
	}
	mustDecode(t, m)
}

// Passing an event on must not touch the bytes that a proof covers.
func TestBytesThatCameAreSentAgain(t *testing.T) {
	m := binaryOf(t, TypeCredentialProved)
	m.Data = []byte("{ \"nonce\": \"\\u006e\",\n\"serial\":\"0a\", \"epoch\":1 }")
	again, err := Encode(DefaultSubjects(), mustDecode(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if string(again.Data) != string(m.Data) {
		t.Errorf("got %s", again.Data)
	}
}

func TestAnEmptyPlanHasAListOfActions(t *testing.T) {
	e, _ := example(t, TypePlanDecided)
	data := *e.Data.(*PlanDecided)
	data.Actions, data.Held, data.HeldTotal = nil, nil, 0
	e.Data, e.Body = &data, nil
	m, err := Encode(DefaultSubjects(), e)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckSchema(e.Type, m.Data); err != nil {
		t.Error(err)
	}
	mustDecode(t, m)
	if data.Actions != nil {
		t.Error("Encode changed the event")
	}
}

func TestStructuredModeReads(t *testing.T) {
	e, m := example(t, TypeEnrollNode)
	text := string(m.Data)
	bodyAt := strings.Index(text, `"data": {`)
	bodyEnd := bodyAt + strings.Index(text[bodyAt:], "}") + 1
	for why, spelled := range map[string]string{
		"data as base64": text[:bodyAt] + `"data_base64":"` + base64.StdEncoding.EncodeToString(e.Body) + `"` + text[bodyEnd:],
		"a null":         strings.Replace(text, "{", `{"dssematerial":null,`, 1),
		"an extension":   strings.Replace(text, "{", `{"tracestate":{"a":[1]},`, 1),
		"step as string": strings.Replace(text, `"step": 1`, `"step": "1"`, 1),
	} {
		t.Run(why, func(t *testing.T) {
			m.Data = []byte(spelled)
			if diff := cmp.Diff(e, mustDecode(t, m)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStructuredModeRefuses(t *testing.T) {
	_, m := example(t, TypeEnrollNode)
	text := string(m.Data)
	for why, c := range map[string]struct {
		text   string
		reason fleet.Reason
	}{
		"nothing":                        {"", ReasonBadData},
		"a list":                         {"[" + text + "]", ReasonBadData},
		"half an event":                  {text[:len(text)/2], ReasonBadData},
		"two events":                     {text + text, ReasonBadData},
		"what is not UTF-8":              {strings.Replace(text, "enroll", "\xff", 1), ReasonBadData},
		"an attribute given twice":       {strings.Replace(text, "{", `{"id":"a",`, 1), ReasonBadHeader},
		"data and data_base64":           {strings.Replace(text, "{", `{"data_base64":"e30=",`, 1), ReasonBadData},
		"no data":                        {strings.Replace(text, `"data":`, `"date":`, 1), ReasonBadData},
		"data that is null":              {`{"data":null,` + strings.Replace(text, `"data":`, `"date":`, 1)[1:], ReasonBadData},
		"data_base64 that is none":       {strings.Replace(text, `"data":`, `"data_base64":"e3",  "date":`, 1), ReasonBadData},
		"data_base64 that is a number":   {strings.Replace(text, `"data":`, `"data_base64":1,  "date":`, 1), ReasonBadData},
		"an attribute that is a number":  {strings.Replace(text, `"basis": "41"`, `"basis": 41`, 1), ReasonBadAttribute},
		"a step that is no integer":      {strings.Replace(text, `"step": 1`, `"step": 1.0`, 1), ReasonBadAttribute},
		"an attribute that is empty":     {strings.Replace(text, `"basis": "41"`, `"basis": ""`, 1), ReasonBadAttribute},
		"an attribute in another case":   {strings.Replace(text, `"source"`, `"Source"`, 1), ReasonBadAttribute},
		"a percent sign is not decoded":  {strings.Replace(text, `fleetfold/planner`, `fleetfold/%`, 1), ReasonBadAttribute},
		"an object that is never closed": {strings.TrimRight(text, "}\n"), ReasonBadData},
	} {
		t.Run(why, func(t *testing.T) {
			m.Data = []byte(c.text)
			_, err := Decode(DefaultSubjects(), m)
			wantRefusal(t, err, c.reason, "")
		})
	}
}

// Whatever a component may say about a node comes back as it was said.
func TestEncodingLeadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[^\x00-\x20\x7f-\x9f][^\x00-\x1f\x7f-\x9f]{0,40}`)
		id := anyNodeID().Draw(t, "node")
		want := &Event{
			ID: "i" + text.Draw(t, "id"), Source: NodeSource(id), Type: TypeActionFailed, Node: id,
			Time: time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Data: &ActionFailed{
				Type: fleet.EnrollNode, ID: id, Action: "a-1", DurationMS: rapid.Int64Min(0).Draw(t, "ms"),
				Reason: "x", Detail: text.Draw(t, "detail"),
			},
		}
		m, err := Encode(DefaultSubjects(), want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(DefaultSubjects(), m)
		if err != nil {
			t.Fatal(err)
		}
		want.Body = m.Data
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestNewIDTellsItsPartsApart(t *testing.T) {
	seen := make(map[string][]string)
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"a", "b", ""}, {"b", "a"}, {"a\x00b"}} {
		id := NewID(parts...)
		if len(id) != 32 || id != NewID(parts...) {
			t.Errorf("id of %q is %q", parts, id)
		}
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %q have the same id", parts, other)
		}
		seen[id] = parts
	}
}
