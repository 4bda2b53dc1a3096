package inventoryfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

func TestMain(m *testing.M) { leak.Main(m) }

const valid = "trust_domain: fleet.example\nquorum: {width: 1}\nenforcement: {require_sig: false}\n"

type followed struct {
	t       *testing.T
	ctx     context.Context
	file    string
	applied chan string // each try
	answers chan error  // what the tries come to
	checked chan inventory.Report
	failed  chan error
}

func follow(t *testing.T) *followed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	f := &followed{
		t: t, ctx: ctx, file: filepath.Join(t.TempDir(), "fleet.yaml"),
		applied: make(chan string), answers: make(chan error), checked: make(chan inventory.Report, 64), failed: make(chan error, 64),
	}
	f.write(valid)
	done := make(chan error, 1)
	go func() {
		done <- Follower{
			Path: f.file, Unreadable: func(err error) { t.Error(err) },
			Checked: func(r inventory.Report) { f.checked <- r }, Failed: func(err error) { f.failed <- err },
			Apply: func(ctx context.Context, text []byte, _ *fleet.Inventory, _ func() error) error {
				select {
				case f.applied <- string(text):
					return take(ctx, f.answers)
				case <-ctx.Done():
					return ctx.Err()
				}
			},
		}.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

func take[T any](ctx context.Context, from <-chan T) (v T) {
	select {
	case v = <-from:
	case <-ctx.Done():
	}
	return v
}

// write replaces the file as an editor does, by a rename.
func (f *followed) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.file+"~", []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.file+"~", f.file); err != nil {
		f.t.Fatal(err)
	}
}

func (f *followed) tried(want string) {
	f.t.Helper()
	if got := take(f.ctx, f.applied); got != want {
		f.t.Fatalf("applied %q, want %q", got, want)
	}
}

func TestAnEditIsNotLostToAnOutage(t *testing.T) {
	away := errors.New("server is away")
	f := follow(t)
	f.tried(valid)
	f.answers <- away
	if err := take(f.ctx, f.failed); !errors.Is(err, away) {
		t.Errorf("failed with %v", err)
	}
	f.tried(valid) // again, though the file did not change
	f.answers <- nil

	f.write(valid + "# 1\n")
	f.tried(valid + "# 1\n")
	take(f.ctx, f.checked)
	take(f.ctx, f.checked)
	f.write(valid + "# 2\n") // read while the older one is on its way
	take(f.ctx, f.checked)
	f.answers <- away
	f.tried(valid + "# 2\n") // the older one is given up
	f.answers <- nil
}

// The watch sees no difference when an edit is taken back before it looked.
func TestAnEditThatIsTakenBackDoesNotEndTheApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &followed{t: t, file: filepath.Join(t.TempDir(), "fleet.yaml")}
		file.write(valid)
		tries := 0
		f := Follower{Path: file.file, Failed: func(err error) { t.Errorf("called a failure: %v", err) }}
		f.Apply = func(_ context.Context, _ []byte, _ *fleet.Inventory, current func() error) error {
			if tries++; tries > 1 {
				return current()
			}
			file.write(valid + "# 1\n")
			defer file.write(valid)
			return current()
		}
		f.insist(t.Context(), version{text: []byte(valid)}, nil)
		if tries != 2 {
			t.Errorf("tried %d times", tries)
		}
	})
}

func TestABrokenVersionHasNoWarnings(t *testing.T) {
	const unsure = valid + "regions:\n  - {name: empty, nodes: []}\n"
	if _, rep := inventory.Parse([]byte(unsure)); !rep.Valid() || len(rep.Warnings) == 0 {
		t.Fatalf("no warning to hide: %+v", rep)
	}
	f := follow(t)
	f.tried(valid)
	f.answers <- nil
	take(f.ctx, f.checked)
	f.write(strings.Replace(unsure, "width: 1", "width: 0", 1))
	if rep := take(f.ctx, f.checked); len(rep.Errors) == 0 || len(rep.Warnings) != 0 {
		t.Errorf("broken: %+v", rep)
	}
	f.write(unsure)
	if rep := take(f.ctx, f.checked); !rep.Valid() || len(rep.Warnings) == 0 {
		t.Errorf("mended: %+v", rep)
	}
	f.tried(unsure)
	f.answers <- nil
}
