package buslog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// followed is a file, and who looks at it when told to.
type followed struct {
	t    *testing.T
	path string
	told []Refusal
	by   *reader
}

func follow(t *testing.T) *followed {
	f := &followed{t: t, path: filepath.Join(t.TempDir(), "nats.log")}
	f.by = &reader{File: File{Path: f.path, Tell: func(r Refusal) { f.told = append(f.told, r) }}}
	t.Cleanup(f.by.close)
	return f
}

func line(node string) string {
	return fmt.Sprintf("[7] 2026/11/24 19:57:35.000001 [ERR] 127.0.0.1:9 - cid:7 - %q - Publish Violation - Subject \"x\"\n", "NODES/user:spiffe://fleet.example/"+node)
}

func (f *followed) write(text string) {
	f.t.Helper()
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		f.t.Fatal(err)
	}
}

// look tells of exactly these nodes.
func (f *followed) look(first bool, want ...fleet.NodeID) {
	f.t.Helper()
	f.told = nil
	if err := f.by.look(f.t.Context(), first); err != nil {
		f.t.Fatal(err)
	}
	var got []fleet.NodeID
	for _, r := range f.told {
		got = append(got, r.Node())
	}
	if !slices.Equal(got, want) {
		f.t.Errorf("told of %q, want %q", got, want)
	}
}

func (f *followed) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestAFileIsFollowedOverItsRotation(t *testing.T) {
	f := follow(t)
	f.look(true) // it is not there yet, so that all of it is news
	f.write(line("a") + "[7] 2026/11/24 19:57:35.000001 [INF] Server is ready\n" + line("b") + line("c")[:60])
	f.look(false, "a", "b")
	f.write(line("c")[60:])
	f.look(false, "c")
	f.look(false)
	f.write(line("d"))
	f.must(os.Rename(f.path, f.path+".1"))
	f.look(false, "d")
	f.write(line("e"))
	f.look(false, "e")
	f.must(os.Rename(f.path, f.path+".2"))
	f.write(line("f") + line("g")[:50])
	f.look(false, "f")
	f.must(os.Truncate(f.path, 0))
	f.write(line("h"))
	f.look(false, "h")
}

func TestWhatWasThereAtTheStartIsNotTold(t *testing.T) {
	f := follow(t)
	f.write(line("old"))
	f.look(true)
	f.write(line("new"))
	f.look(false, "new")
}

func TestALineWithoutEndTakesNoRoom(t *testing.T) {
	f := follow(t)
	f.look(true)
	f.write("[7] 2026/11/24 19:57:35.000001 [ERR] 127.0.0.1:9 - cid:7 - " + strings.Repeat("x", 8*maxText))
	f.look(false)
	if len(f.by.part) > maxText+1 {
		t.Errorf("%d bytes of it are kept", len(f.by.part))
	}
	f.write("\n" + line("a"))
	f.look(false, "", "a")
}

// What is in the way is told once, and when it is gone.
func TestAFileThatCannotBeReadIsToldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nats.log")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	trouble, told := make(chan error, 10), make(chan Refusal, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- File{Path: path, Every: time.Millisecond, Tell: func(r Refusal) { told <- r }, Trouble: func(err error) { trouble <- err }}.Run(ctx)
	}()
	if err := <-trouble; err == nil || !strings.Contains(err.Error(), path+" is not a regular file") {
		t.Errorf("trouble: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(line("a")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-trouble; err != nil {
		t.Errorf("trouble: %v", err)
	}
	if r := <-told; r.Node() != "a" {
		t.Errorf("told %+v", r)
	}
	cancel()
	if err := <-ended; err != nil || len(trouble) > 0 {
		t.Errorf("ends with %v, after %d more troubles", err, len(trouble))
	}
}

func TestATallyIsBounded(t *testing.T) {
	var tally Tally
	const nodes, times = 1000, 3
	for range times {
		for i := range nodes {
			tally.Add(Refusal{Reason: PermissionPublish, User: fmt.Sprintf("spiffe://fleet.example/n%d", i), Detail: "x"})
		}
	}
	tally.Add(Refusal{Reason: PermissionReply, User: "urn:fleetfold:service:planner", Detail: "may not"})
	all, err := tally.Next(t.Context())
	if err != nil || len(all) > maxKinds+2 {
		t.Fatalf("%d kinds, %v", len(all), err)
	}
	var sum uint64
	for _, r := range all {
		sum += r.Count
		if r.Reason == PermissionReply && r.Detail != "urn:fleetfold:service:planner may not" {
			t.Errorf("%+v", r)
		}
	}
	if sum != nodes*times+1 {
		t.Errorf("%d refusals are told of", sum)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if all, err := tally.Next(ctx); err == nil {
		t.Errorf("again %v", all)
	}
}
