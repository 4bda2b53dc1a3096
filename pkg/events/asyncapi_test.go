package events

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/fleetfold/fleetfold/schemas"
)

type ref struct {
	Ref string `yaml:"$ref"`
}

type asyncAPI struct {
	Channels map[string]struct {
		Address    string
		Parameters map[string]ref
		Messages   map[string]ref
	}
	Operations map[string]struct{ Channel ref }
	Components struct {
		Messages map[string]struct {
			Name    string
			Payload struct{ Schema ref }
		}
	}
}

// The AsyncAPI document names each type once, with its schema, on a channel
// whose address is the type's subject.
func TestAsyncAPITellsTheRegistry(t *testing.T) {
	var doc asyncAPI
	if err := yaml.Unmarshal(schemas.AsyncAPI, &doc); err != nil {
		t.Fatal(err)
	}
	addresses := make(map[string][]string)
	for _, c := range doc.Channels {
		for _, m := range c.Messages {
			name := doc.Components.Messages[strings.TrimPrefix(m.Ref, "#/components/messages/")].Name
			addresses[name] = append(addresses[name], c.Address)
		}
	}
	for _, d := range registry {
		_, m := example(t, d.Type)
		if !reaches(addresses[string(d.Type)], m.Subject) && d.Type != TypeCommandAnswered {
			t.Errorf("%s travels on %s, but is described on %q", d.Type, m.Subject, addresses[string(d.Type)])
		}
	}
	if len(doc.Components.Messages) != len(registry) {
		t.Errorf("%d messages are described, %d types are registered", len(doc.Components.Messages), len(registry))
	}
	for key, m := range doc.Components.Messages {
		if want := "./events/" + m.Name + ".schema.json"; m.Payload.Schema.Ref != want {
			t.Errorf("message %s has the payload %s, not %s", key, m.Payload.Schema.Ref, want)
		}
	}
	for name, op := range doc.Operations {
		if _, ok := doc.Channels[strings.TrimPrefix(op.Channel.Ref, "#/channels/")]; !ok {
			t.Errorf("operation %s is on %q, which does not exist", name, op.Channel.Ref)
		}
	}
}

// reaches says whether subject is one of the addresses, with a parameter for
// its last token.
func reaches(addresses []string, subject string) bool {
	parent := subject[:strings.LastIndexByte(subject, '.')+1]
	for _, a := range addresses {
		if a == subject || strings.HasPrefix(a, parent+"{") {
			return true
		}
	}
	return false
}
