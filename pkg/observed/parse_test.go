package observed

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestAGoodFileIsReadInItsOrder(t *testing.T) {
	got, err := Parse([]byte(`
{ "strict_enforced": true, "nodes": [
  {"can_sign": true, "id": "b", "present": false},
  {"id": "spiffe:\/\/a\u002fb", "present": true, "can_sign": false}
]}
`))
	want := &fleet.ObservedState{
		Nodes:          []fleet.ObservedNode{{ID: "b", CanSign: true}, {ID: "spiffe://a/b", Present: true}},
		StrictEnforced: true,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = Parse([]byte(`{"nodes":[],"strict_enforced":false}`))
	if err != nil || got.Nodes == nil || len(got.Nodes) != 0 || got.StrictEnforced {
		t.Errorf("no nodes: got %+v, %v", got, err)
	}
}

// file is a file with the given nodes.
func file(nodes string) string { return `{"nodes":[` + nodes + `],"strict_enforced":false}` }

const good = `{"id":"n","present":true,"can_sign":true}`

func TestWhatIsWrongIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"empty":                       {"", []string{"line 1: empty: an object with nodes and strict_enforced is wanted"}},
		"blank":                       {" \n\t", []string{"line 1: empty: an object with nodes and strict_enforced is wanted"}},
		"another type at the root":    {`[1]`, []string{"line 1: must be an object, not a list"}},
		"null at the root":            {`null`, []string{"line 1: must be an object, not null"}},
		"cut off":                     {"{\"nodes\":\n [", []string{"line 2: not JSON: unexpected end of JSON input"}},
		"a comma too many":            {"{\"nodes\":\n[1,\n],}", []string{"line 3: not JSON: invalid character ']' looking for beginning of value"}},
		"no UTF-8":                    {"{\n\"\xff\":1}", []string{"line 2: not UTF-8 text"}},
		"deeper than JSON may be":     {strings.Repeat("[", 20000), []string{"line 1: not JSON: invalid character '[' exceeded max depth"}},
		"keys missing":                {`{}`, []string{`line 1: nodes: key "nodes" is missing`, `line 1: strict_enforced: key "strict_enforced" is missing`}},
		"a node's keys missing":       {file("\n{}"), []string{`line 2: nodes[0].id: key "id" is missing`, `line 2: nodes[0].present: key "present" is missing`, `line 2: nodes[0].can_sign: key "can_sign" is missing`}},
		"a key in another case":       {file(`{"ID":"n","id":"n","present":true,"can_sign":true}`), []string{`line 1: nodes[0].ID: unknown key "ID": the keys here are id, present, can_sign`}},
		"a key twice":                 {file("{\"id\":\"n\",\"present\":true,\n\"present\":false,\"can_sign\":true}"), []string{`line 2: nodes[0].present: key "present" is given twice, first on line 1`}},
		"a key twice by escape":       {file(`{"id":"n","present":true,"pr\u0065sent":false,"can_sign":true}`), []string{`line 1: nodes[0].present: key "present" is given twice, first on line 1`}},
		"an unknown key twice":        {`{"nodes":[],"strict_enforced":true,"x":1,"x":2}`, []string{`line 1: x: unknown key "x": the keys here are nodes, strict_enforced`, `line 1: x: key "x" is given twice, first on line 1`}},
		"an unknown key with a depth": {`{"nodes":[],"a b":{"x":[{},[1e999]]},"strict_enforced":true}`, []string{`line 1: ["a b"]: unknown key "a b": the keys here are nodes, strict_enforced`}},
		"an id twice":                 {file(good + ",\n" + good), []string{`line 2: nodes[1].id: node id "n" is given twice, first on line 1`}},
		"an empty id":                 {file(`{"id":"","present":true,"can_sign":true}`), []string{`line 1: nodes[0].id: node id is empty`}},
		"an illegal id":               {file(`{"id":"/a","present":true,"can_sign":true}`), []string{`line 1: nodes[0].id: node id begins with "/"`}},
		"half a surrogate pair":       {file(`{"id":"\ud800","present":true,"can_sign":true}`), []string{"line 1: nodes[0].id: node id has \"\\xef\" at byte 0: only ASCII letters, digits and _ - : @ . / are allowed"}},
		"a number for an id":          {file(`{"id":1e999,"present":true,"can_sign":true}`), []string{`line 1: nodes[0].id: must be a string, not a number`}},
		"null for a boolean":          {file(`{"id":"n","present":null,"can_sign":true}`), []string{`line 1: nodes[0].present: must be true or false, not null`}},
		"a string for a boolean":      {file(`{"id":"n","present":"true","can_sign":true}`), []string{`line 1: nodes[0].present: must be true or false, not a string`}},
		"a boolean for a node":        {file(`true,` + good), []string{`line 1: nodes[0]: must be an object, not true`}},
		"an object for the list":      {`{"nodes":{"a":[1]},"strict_enforced":true}`, []string{`line 1: nodes: must be a list, not an object`}},
		"something behind":            {file(good) + "\n\n{}", []string{"line 3: something stands behind the end of the object"}},
		"a bad file and more behind":  {"{\"nodes\":[],\n\"strict_enforced\":1}x", []string{"line 2: strict_enforced: must be true or false, not a number", "line 2: something stands behind the end of the object"}},
	} {
		t.Run(name, func(t *testing.T) {
			state, err := Parse([]byte(c.text))
			var wrong *Error
			if state != nil || !errors.As(err, &wrong) {
				t.Fatalf("got %v, %v", state, err)
			}
			var got []string
			for _, p := range wrong.Problems {
				got = append(got, p.String())
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

func TestOneProblemIsSingular(t *testing.T) {
	_, err := Parse(nil)
	if got := err.Error(); !strings.HasPrefix(got, "observed state has 1 problem\n") {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "{}", file(good), file(good + "," + good), file(`{"id":[{}],"x":{"y":[]}}`) + "x", "\xff", `[[[`, `{"nodes":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := Parse(data)
		if (state == nil) == (err == nil) {
			t.Fatalf("got %v, %v", state, err)
		}
		var wrong *Error
		if err != nil {
			if !errors.As(err, &wrong) || len(wrong.Problems) == 0 {
				t.Fatalf("error %v has no problems", err)
			}
			lines := 1 + strings.Count(string(data), "\n")
			for _, p := range wrong.Problems {
				if p.Line < 1 || p.Line > lines || p.Message == "" {
					t.Fatalf("problem %+v of a file with %d lines", p, lines)
				}
			}
			return
		}
		text, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse(text); err != nil || !reflect.DeepEqual(again, state) {
			t.Fatalf("%s was read back as %+v, %v", text, again, err)
		}
	})
}
