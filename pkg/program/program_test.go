package program_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/program"
)

func shell(t *testing.T, script string) []string {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	return []string{path, "-c", script}
}

func TestAsk(t *testing.T) {
	for sentence, c := range map[string]struct {
		script, answer, says string
	}{
		"the answer is what it prints":        {"read line; echo \"got $line\"", "got input\n", ""},
		"input that it does not read is fine": {"echo yes", "yes\n", ""},
		"it fails and says why":               {"echo secret; echo because >&2; exit 3", "", "exit status 3: because"},
		"it fails and says it in two lines":   {"echo because >&2; echo 'of this' >&2; exit 3", "", "exit status 3: because of this"},
		"it fails and says nothing":           {"exit 4", "", "exit status 4"},
		"it complains at length":              {"yes because | head -c 100000 >&2; exit 1", "", "because"},
		"a long answer is cut":                {"yes | head -c 100000", strings.Repeat("y\n", 8<<10), ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			answer, err := program.Ask(t.Context(), shell(t, c.script), []byte("input\n"), time.Minute)
			if string(answer) != c.answer || (err == nil) != (c.says == "") {
				t.Fatalf("%d bytes, %v", len(answer), err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") || len(err.Error()) > 1000) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAskEndsInTime(t *testing.T) {
	var late *program.TimeoutError
	// The grandchild keeps the pipes open.
	_, err := program.Ask(t.Context(), shell(t, "(while :; do :; done) & wait"), nil, 200*time.Millisecond)
	if !errors.As(err, &late) || late.Limit != 200*time.Millisecond {
		t.Errorf("got %v", err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := program.Ask(stopped, shell(t, "echo yes"), nil, time.Minute); !errors.Is(err, context.Canceled) || errors.As(err, &late) {
		t.Errorf("got %v", err)
	}
}

func ExampleAsk() {
	answer, err := program.Ask(context.Background(), []string{"cat"}, []byte("hello"), time.Minute)
	fmt.Printf("%s %v\n", answer, err)
	// Output: hello <nil>
}
