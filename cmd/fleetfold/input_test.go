package main

import (
	"bytes"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/inventory"
)

func TestProblemsAreWrittenAsCompilersWriteThem(t *testing.T) {
	for does, c := range map[string]struct {
		name, kind string
		problem    inventory.Problem
		want       string
	}{
		"place, path, message and tag": {"f.yaml", "", inventory.Problem{Tag: "tag", Path: "quorum.width", Line: 7, Message: "message"}, "f.yaml:7: quorum.width: message [tag]"},
		"no path":                      {"f.yaml", "", inventory.Problem{Tag: "tag", Line: 34, Message: "message"}, "f.yaml:34: message [tag]"},
		"no line either":               {"f.yaml", "", inventory.Problem{Tag: "tag", Message: "message"}, "f.yaml: message [tag]"},
		"a warning":                    {"f.yaml", "warning: ", inventory.Problem{Tag: "tag", Line: 1, Message: "message"}, "f.yaml:1: warning: message [tag]"},
		"standard input":               {"-", "", inventory.Problem{Tag: "tag", Line: 1, Message: "message"}, "<stdin>:1: message [tag]"},
	} {
		if got := problemLine(c.name, c.kind, c.problem); got != c.want {
			t.Errorf("%s: got %q, want %q", does, got, c.want)
		}
	}
}

// up tells of a version that is not valid as validate does.
func TestUpTellsProblemsLikeValidate(t *testing.T) {
	var out, problems, want bytes.Buffer
	const text = "trust_domain: [\n"
	_, rep := inventory.Parse([]byte(text))
	if rep.Valid() || rep.Errors[0].Path != "" {
		t.Fatalf("problems are %+v, want one without a path", rep.Errors)
	}
	if err := printReport(&want, "f.yaml", rep); err != nil {
		t.Fatal(err)
	}
	f := upFlags{inventory: "f.yaml"}
	s := newScreen(&out, &problems, false)
	f.checked(s, rep)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(problems.Bytes(), want.Bytes()) {
		t.Errorf("got %q, want it to end in %q", &problems, &want)
	}
}
