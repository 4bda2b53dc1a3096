package planner

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

type seen struct {
	text string
	err  error
}

// watched starts WatchFile and returns what it reports, one at a time.
func watched(t *testing.T, path string) <-chan seen {
	t.Helper()
	reports := make(chan seen, 16)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- WatchFile(ctx, path, func(text []byte, err error) { reports <- seen{string(text), err} })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("WatchFile: %v", err)
		}
	})
	return reports
}

func next(t *testing.T, reports <-chan seen) seen {
	t.Helper()
	select {
	case s := <-reports:
		return s
	case <-time.After(30 * time.Second):
		t.Fatal("no report within 30 s")
		return seen{}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatchFileReportsTheFirstContentAndEachChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fleet.yaml")
	write(t, path, "one")
	reports := watched(t, path)
	if s := next(t, reports); s.text != "one" {
		t.Fatalf("first report %+v", s)
	}
	write(t, path, "two")
	if s := next(t, reports); s.text != "two" {
		t.Fatalf("second report %+v", s)
	}
}

func TestWatchFileFollowsARename(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fleet.yaml")
	write(t, path, "one")
	reports := watched(t, path)
	next(t, reports)
	write(t, filepath.Join(dir, ".fleet.yaml.swp"), "two")
	if err := os.Rename(filepath.Join(dir, ".fleet.yaml.swp"), path); err != nil {
		t.Fatal(err)
	}
	if s := next(t, reports); s.text != "two" {
		t.Fatalf("report after rename %+v", s)
	}
}

// A config map is a symbolic link to ..data/FILE, where ..data is a link to a
// dated folder; an update replaces ..data by a rename.
func TestWatchFileFollowsAConfigMap(t *testing.T) {
	dir := t.TempDir()
	for folder, text := range map[string]string{"..v1": "one", "..v2": "two"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, folder, "fleet.yaml"), text)
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..v1", "..data")
	link("..data/fleet.yaml", "fleet.yaml")
	reports := watched(t, filepath.Join(dir, "fleet.yaml"))
	if s := next(t, reports); s.text != "one" {
		t.Fatalf("first report %+v", s)
	}
	link("..v2", "..tmp")
	if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if s := next(t, reports); s.text != "two" {
		t.Fatalf("report after the config map changed %+v", s)
	}
}

func TestWatchFileReportsAMissingFileAndItsReturn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fleet.yaml")
	reports := watched(t, path)
	if s := next(t, reports); !errors.Is(s.err, fs.ErrNotExist) {
		t.Fatalf("report of a missing file %+v", s)
	}
	write(t, path, "one")
	if s := next(t, reports); s.text != "one" {
		t.Fatalf("report of its return %+v", s)
	}
}

func TestReadFileRefusesWhatHasNoEnd(t *testing.T) {
	for _, path := range []string{t.TempDir(), os.DevNull} {
		if _, err := ReadFile(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
	if _, err := ReadAll(endless{}); err == nil {
		t.Error("a reader without an end was read")
	}
}

// endless never stops giving zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
