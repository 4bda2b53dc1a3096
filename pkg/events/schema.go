package events

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/fleetfold/fleetfold/schemas"
)

// CheckSchema checks the data of an event of type t against its JSON Schema.
// It is for what comes from outside, before it is believed; Decode already
// checks all that the program itself relies on. Errors are *Refusal, unless
// the schemas of this build are broken.
func CheckSchema(t Type, body []byte) error {
	if _, ok := byType[t]; !ok {
		return refuse(ReasonUnknownType, "event type %q is not in the registry", t)
	}
	compiled, err := compiledSchemas()
	if err != nil {
		return err
	}
	if len(body) > MaxBodyBytes {
		return refuse(ReasonOversize, "data has %d bytes, at most %d are allowed", len(body), MaxBodyBytes)
	}
	data, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return refuse(ReasonSchema, "data of %s is not JSON: %v", t, err)
	}
	if err := compiled[t].Validate(data); err != nil {
		return refuse(ReasonSchema, "data of %s: %s", t, firstMisfit(err))
	}
	return nil
}

var compiledSchemas = sync.OnceValues(compileSchemas)

func compileSchemas() (map[Type]*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	compiled := make(map[Type]*jsonschema.Schema, len(registry))
	for _, d := range registry {
		text, err := schemas.Events.ReadFile("events/" + string(d.Type) + ".schema.json")
		if err != nil {
			return nil, fmt.Errorf("read schema of %s: %w", d.Type, err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("parse schema of %s: %w", d.Type, err)
		}
		if err := c.AddResource(SchemaID(d.Type), doc); err != nil {
			return nil, fmt.Errorf("add schema of %s: %w", d.Type, err)
		}
		if compiled[d.Type], err = c.Compile(SchemaID(d.Type)); err != nil {
			return nil, fmt.Errorf("compile schema of %s: %w", d.Type, err)
		}
	}
	return compiled, nil
}

// firstMisfit says in one line where the first misfit is and what it is.
func firstMisfit(err error) string {
	var v *jsonschema.ValidationError
	if !errors.As(err, &v) {
		return err.Error()
	}
	for len(v.Causes) > 0 {
		v = v.Causes[0]
	}
	where := "/" + strings.Join(v.InstanceLocation, "/")
	return where + ": " + v.ErrorKind.LocalizedString(message.NewPrinter(language.English))
}
