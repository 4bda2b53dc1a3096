package events

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/schemas"
)

// example reads the example of a type as a message in structured mode, on the
// subject it belongs on.
func example(t testing.TB, typ Type) (*Event, Message) {
	t.Helper()
	text, err := schemas.Examples.ReadFile("examples/" + string(typ) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	s := DefaultSubjects()
	m := Message{Header: map[string][]string{"Content-Type": {"application/cloudevents+json"}}, Data: text}
	var a attributes
	body, err := a.read(m, "")
	if err != nil {
		t.Fatalf("example of %s: %v", typ, err)
	}
	e, f, err := a.event()
	if err != nil {
		t.Fatalf("example of %s: %v", typ, err)
	}
	if e.Data, err = f.decode(body); err != nil {
		t.Fatalf("example of %s: %v", typ, err)
	}
	if m.Subject, err = s.Of(e); err != nil {
		t.Fatal(err)
	}
	if e, err = Decode(s, m); err != nil {
		t.Fatalf("example of %s: %v", typ, err)
	}
	return e, m
}

// Every row of the registry has a payload, a schema and an example, and they
// say the same.
func TestEveryTypeIsComplete(t *testing.T) {
	for _, d := range Registry() {
		t.Run(string(d.Type), func(t *testing.T) {
			e, _ := example(t, d.Type)
			if e.Type != d.Type || reflect.TypeOf(e.Data) != reflect.TypeOf(d.fresh()) {
				t.Fatalf("example is %s with %T", e.Type, e.Data)
			}
			if err := CheckSchema(d.Type, e.Body); err != nil {
				t.Errorf("example: %v", err)
			}
			roundTrip(t, e)
			sdkRoundTrip(t, e)
			compareWithSchema(t, d)
		})
	}
}

func roundTrip(t *testing.T, e *Event) {
	t.Helper()
	m, err := Encode(DefaultSubjects(), e)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Data, e.Body) {
		t.Errorf("body was changed: %s", m.Data)
	}
	got, err := Decode(DefaultSubjects(), m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("binary mode changes the event (-want +got):\n%s", diff)
	}
	fresh := *e
	fresh.Body = nil
	if m, err = Encode(DefaultSubjects(), &fresh); err != nil {
		t.Fatal(err)
	}
	if err := CheckSchema(e.Type, m.Data); err != nil {
		t.Errorf("what Encode writes does not pass: %v", err)
	}
}

func sdkRoundTrip(t *testing.T, e *Event) {
	t.Helper()
	ce, err := e.CloudEvent()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(ce)
	if err != nil {
		t.Fatal(err)
	}
	subject, _ := DefaultSubjects().Of(e)
	got, err := Decode(DefaultSubjects(), Message{
		Subject: subject, Header: map[string][]string{"content-type": {"Application/CloudEvents"}}, Data: text,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := *e
	want.Body, got.Body = nil, nil // the standard library compacts what it embeds
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("the SDK's JSON changes the event (-want +got):\n%s", diff)
	}
}

// objectSchema is what the comparison needs of a JSON Schema.
type objectSchema struct {
	ID          string                  `json:"$id"`
	Dialect     string                  `json:"$schema"`
	Title       string                  `json:"title"`
	Description string                  `json:"description"`
	Properties  map[string]objectSchema `json:"properties"`
	Additional  *bool                   `json:"additionalProperties"`
	Required    []string                `json:"required"`
	Items       *objectSchema           `json:"items"`
}

func compareWithSchema(t *testing.T, d Descriptor) {
	t.Helper()
	text, err := schemas.Events.ReadFile("events/" + string(d.Type) + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s objectSchema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if s.ID != d.Schema || s.ID != SchemaID(d.Type) || s.Title != string(d.Type) {
		t.Errorf("schema is %q, titled %q", s.ID, s.Title)
	}
	if s.Dialect != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("schema is of dialect %q", s.Dialect)
	}
	compareShape(t, "data", forms[d.Type].shape, s)
}

func compareShape(t *testing.T, path string, have *shape, want objectSchema) {
	t.Helper()
	if want.Additional == nil || *want.Additional {
		t.Errorf("%s: the schema allows unknown fields", path)
	}
	names := slices.Sorted(maps.Keys(want.Properties))
	if diff := cmp.Diff(slices.Sorted(slices.Values(have.names)), names); diff != "" {
		t.Errorf("%s: fields of the Go type and of the schema differ (-go +schema):\n%s", path, diff)
	}
	for name, p := range want.Properties {
		if p.Description == "" {
			t.Errorf("%s.%s has no description", path, name)
		}
		field := have.fields[name]
		if have.required>>field.bit&1 == 1 && !slices.Contains(want.Required, name) {
			t.Errorf("%s.%s is always written, but the schema does not require it", path, name)
		}
		if p.Items != nil {
			p = *p.Items
		}
		if field.inner != nil {
			compareShape(t, path+"."+name, field.inner, p)
		}
	}
}

func TestThereAreNoOtherFiles(t *testing.T) {
	known := make(map[string]bool)
	for _, d := range registry {
		known[string(d.Type)+".schema.json"], known[string(d.Type)+".json"] = true, true
	}
	for _, dir := range []string{"events", "examples"} {
		files, _ := schemas.Events.ReadDir(dir)
		if dir == "examples" {
			files, _ = schemas.Examples.ReadDir(dir)
		}
		for _, f := range files {
			if !known[f.Name()] {
				t.Errorf("schemas/%s/%s is of no type in the registry", dir, f.Name())
			}
		}
	}
}

func TestSubjectsFollowTheChannel(t *testing.T) {
	want := map[Channel][]string{
		ChannelLog:      {"fleet.events."},
		ChannelAction:   {"fleet.actions."},
		ChannelPresence: {"fleet.presence."},
		ChannelCommand:  {"fleet.command."},
		ChannelRequest:  {"fleet.request."},
	}
	for _, d := range registry {
		_, m := example(t, d.Type)
		if !strings.HasPrefix(m.Subject, want[d.Channel][0]) {
			t.Errorf("%s travels on %s", d.Type, m.Subject)
		}
		if d.Type.IsAction() != (d.Channel == ChannelAction) {
			t.Errorf("%s: IsAction is %v", d.Type, d.Type.IsAction())
		}
		if d.Type.IsOutcome() != strings.HasPrefix(m.Subject, "fleet.events.outcome.") {
			t.Errorf("%s: IsOutcome is %v", d.Type, d.Type.IsOutcome())
		}
	}
}
