package inventory

import (
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// schema is what editors and other programs check an inventory against. It can
// say less than Parse, but it must never contradict it.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../../schemas/inventory.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	return names
}

func checkBoth(t *testing.T, name string) (fromSchema, fromParse error) {
	t.Helper()
	data := readTestdata(t, name)
	var instance any
	if err := yaml.Unmarshal(data, &instance); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	_, rep := Parse(data)
	return schema(t).Validate(instance), rep.Err()
}

func TestSchemaAcceptsWhatParseAccepts(t *testing.T) {
	names := append(files(t, "testdata/valid/*.yaml"), files(t, "../../examples/*.yaml")...)
	for _, name := range names {
		fromSchema, fromParse := checkBoth(t, name)
		if fromSchema != nil || fromParse != nil {
			t.Errorf("%s: schema says %v, parse says %v", name, fromSchema, fromParse)
		}
	}
}

func TestSchemaAndParseBothRefuse(t *testing.T) {
	for _, name := range files(t, "testdata/invalid/*.yaml") {
		fromSchema, fromParse := checkBoth(t, name)
		if fromSchema == nil || fromParse == nil {
			t.Errorf("%s: schema says %v, parse says %v", name, fromSchema, fromParse)
		}
	}
}

func TestExamplesHaveNoWarnings(t *testing.T) {
	for _, name := range files(t, "../../examples/*.yaml") {
		if _, rep := Parse(readTestdata(t, name)); len(rep.Warnings) != 0 {
			t.Errorf("%s: %v", name, rep.Warnings)
		}
	}
}
