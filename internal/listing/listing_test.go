package listing_test

import (
	"errors"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/fleetfold/fleetfold/internal/listing"
)

type thing struct {
	ID   string `json:"id"`
	Size int    `json:"size"`
}

var columns = []listing.Column[thing]{
	{Name: "ID", Text: func(t thing) string { return t.ID }},
	{Name: "SIZE", Wide: true, Text: func(t thing) string { return strings.Repeat("*", t.Size) }},
}

var things = []thing{{"a", 1}, {"b\x1b[2J", 0}, {"true", 2}}

func TestEachFormat(t *testing.T) {
	for format, want := range map[string]string{
		"table":                 "ID\na\nb [2J\ntrue\n",
		"wide":                  "ID     SIZE\na      *\nb [2J  -\ntrue   **\n",
		"jsonl":                 "{\"id\":\"a\",\"size\":1}\n{\"id\":\"b\\u001b[2J\",\"size\":0}\n{\"id\":\"true\",\"size\":2}\n",
		"template={{.ID}}{{0}}": "a0\nb\x1b[2J0\ntrue0\n",
		"yaml":                  "- id: a\n  size: 1\n- id: \"b\\e[2J\"\n  size: 0\n- id: \"true\"\n  size: 2\n",
	} {
		f, err := listing.Parse(format, "")
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := listing.Write(&b, f, columns, things); err != nil || b.String() != want {
			t.Errorf("%s: %v, got\n%q", format, err, b.String())
		}
	}
}

// What YAML says reads back as what it was, whatever it looks like.
func TestYAMLReadsBack(t *testing.T) {
	f, _ := listing.Parse("yaml", "")
	var b strings.Builder
	tricky := []thing{{"no", 0}, {"1e3", 0}, {"0x10", 0}, {"~", 0}, {"", 0}, {"2026-01-02", 0}, {"a: b", 0}, {"null", 0}, {"two\nlines", 0}}
	if err := listing.Write(&b, f, columns, tricky); err != nil {
		t.Fatal(err)
	}
	var back []map[string]any
	if err := yaml.Unmarshal([]byte(b.String()), &back); err != nil {
		t.Fatal(err)
	}
	for i, want := range tricky {
		if back[i]["id"] != want.ID {
			t.Errorf("%q came back as %#v:\n%s", want.ID, back[i]["id"], b.String())
		}
	}
}

func TestAnEmptyList(t *testing.T) {
	for format, want := range map[string]string{"table": "", "jsonl": "", "json": "[]\n", "yaml": "[]\n", "template={{.}}": ""} {
		f, _ := listing.Parse(format, "")
		var b strings.Builder
		if err := listing.Write(&b, f, columns, nil); err != nil || b.String() != want {
			t.Errorf("%s: %v, got %q", format, err, b.String())
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for args, want := range map[[2]string]string{
		{"xml", ""}:                 "none of table, wide, json, yaml, jsonl, template",
		{"template", ""}:            "needs a template",
		{"template={{if .}}", ""}:   "unexpected EOF",
		{"json=x", ""}:              "takes no value",
		{"json", "{{.}}"}:           "goes with -o template",
		{"template={{.}}", "{{.}}"}: "two templates",
	} {
		if _, err := listing.Parse(args[0], args[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
	f, _ := listing.Parse("template", "{{.Nope}}")
	var wrong *listing.TemplateError
	if err := listing.Write(&strings.Builder{}, f, columns, things); !errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
}

func TestChangesAreShownOnce(t *testing.T) {
	for format, want := range map[string]string{
		"jsonl": `{"change":"added","item":{"id":"a","size":1}}` + "\n" + `{"change":"added","item":{"id":"b","size":1}}` + "\n--\n--\n" +
			`{"change":"added","item":{"id":"c","size":1}}` + "\n" + `{"change":"changed","item":{"id":"b","size":2}}` + "\n" +
			`{"change":"removed","item":{"id":"a","size":1}}` + "\n--\n",
		"wide":             "CHANGE  ID  SIZE\nadded   a   *\nadded   b   *\n--\n--\nadded    c   *\nchanged  b   **\nremoved  a   *\n--\n",
		"template={{.ID}}": "a\nb\n--\n--\nc\nb\n--\n",
	} {
		f, _ := listing.Parse(format, "")
		var b strings.Builder
		w := listing.Watched[thing]{Out: &b, Format: f, Columns: columns, Key: func(t thing) string { return t.ID }}
		for _, list := range [][]thing{{{"a", 1}, {"b", 1}}, {{"a", 1}, {"b", 1}}, {{"c", 1}, {"b", 2}}} {
			if err := w.Show(list); err != nil {
				t.Fatal(err)
			}
			b.WriteString("--\n")
		}
		if b.String() != want {
			t.Errorf("%s: got\n%s", format, b.String())
		}
	}
	for _, name := range []string{"json", "yaml"} {
		if f, _ := listing.Parse(name, ""); listing.CheckWatch(f) == nil {
			t.Errorf("%s was taken for a form of changes", name)
		}
	}
}
