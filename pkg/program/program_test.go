package program_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

// A program that fails may say what it was given, and what it has: the error is on
// the log then, for good.
func TestAnErrorQuotesNoSecret(t *testing.T) {
	const key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIsecret\n-----END EC PRIVATE KEY-----\n"
	for sentence, script := range map[string]string{
		"what it was given":            "cat >&2; exit 1",
		"as a shell traces it":         "set -x; read line; test \"$line\" = other",
		"beyond what is quoted":        "yes because | head -c 505 >&2; cat >&2; exit 1",
		"a key":                        "printf '" + key + "' >&2; exit 1",
		"a key that it did not finish": "printf '" + key[:40] + "' >&2; exit 1",
	} {
		_, err := program.Ask(t.Context(), shell(t, script), []byte(`{"payload":"open \"secret\" sesame"}`+"\n"), time.Minute, `open "secret" sesame`)
		if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Fatalf("%s: %v", sentence, err)
		}
		for _, word := range []string{"secret", "open", "sesame", "MHc"} {
			if strings.Contains(strings.SplitN(err.Error(), ":", 3)[2], word) {
				t.Errorf("%s: %v", sentence, err)
			}
		}
	}
	_, err := program.Ask(t.Context(), shell(t, `printf '\033[2J\377gone' >&2; exit 1`), nil, time.Minute)
	if err == nil || !strings.HasSuffix(err.Error(), ": [2Jgone") {
		t.Errorf("control characters: %q", err)
	}
}

// What a program leaves running would be one more each time it is asked.
func TestWhatAProgramStartsEndsWithIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	alive, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	answer, err := program.Ask(t.Context(), shell(t, "exec 3>"+path+"; sleep 600 >/dev/null 2>&1 & echo yes"), nil, time.Minute)
	if err != nil || string(answer) != "yes\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	// The other end is open for as long as the child lives.
	if err := alive.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := alive.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the child of a program that has ended lives on: %d, %v", n, err)
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
