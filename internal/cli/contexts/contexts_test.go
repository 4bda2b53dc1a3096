package contexts_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/internal/cli/contexts"
)

// home gives the test a configuration folder of its own.
func home(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
}

func TestContextsAreKeptAndChosen(t *testing.T) {
	home(t)
	prod := contexts.Context{Name: "prod", NATS: "nats://a", Identity: "/id", Prefix: "edge"}
	for _, c := range []contexts.Context{prod, {Name: "alpha", NATSContext: "mine"}} {
		if err := contexts.Save(c); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := contexts.Load("prod"); err != nil || got != prod {
		t.Errorf("loaded %+v, %v", got, err)
	}
	list, err := contexts.List()
	if diff := cmp.Diff([]contexts.Context{{Name: "alpha", NATSContext: "mine"}, prod}, list); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if name, err := contexts.Selected(); name != "" || err != nil {
		t.Errorf("selected %q, %v", name, err)
	}
	if err := contexts.Select("nobody"); !errors.Is(err, contexts.ErrNone) {
		t.Error(err)
	}
	if err := contexts.Select("prod"); err != nil {
		t.Fatal(err)
	}
	if name, err := contexts.Selected(); name != "prod" || err != nil {
		t.Errorf("selected %q, %v", name, err)
	}
	if err := contexts.Remove("prod"); err != nil {
		t.Fatal(err)
	}
	if name, err := contexts.Selected(); name != "" || err != nil {
		t.Errorf("what is forgotten is selected: %q, %v", name, err)
	}
	if err := contexts.Remove("prod"); !errors.Is(err, contexts.ErrNone) {
		t.Error(err)
	}
}

func TestNobodyElseReadsThem(t *testing.T) {
	home(t)
	if err := contexts.Save(contexts.Context{Name: "a", NATS: "nats://user:password@a"}); err != nil {
		t.Fatal(err)
	}
	dir, err := contexts.Dir()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "context", "a.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestNamesStayInTheirFolder(t *testing.T) {
	home(t)
	for _, name := range []string{"", "..", "../a", "a/b", ".a", "-a", "a b", "ä"} {
		if err := contexts.Save(contexts.Context{Name: name}); err == nil {
			t.Errorf("%q was kept", name)
		}
		if _, err := contexts.Load(name); !errors.Is(err, contexts.ErrNone) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestADamagedContextIsNamed(t *testing.T) {
	home(t)
	if err := contexts.Save(contexts.Context{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	dir, err := contexts.Dir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "context", "a.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := contexts.Load("a"); err == nil || errors.Is(err, contexts.ErrNone) {
		t.Errorf("loaded with %v", err)
	}
}

// A service without a home has no contexts, and runs.
func TestWithoutAHomeThereAreNone(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "")
	if name, err := contexts.Selected(); name != "" || err != nil {
		t.Errorf("selected %q, %v", name, err)
	}
	if _, err := contexts.Load("a"); !errors.Is(err, contexts.ErrNone) {
		t.Error(err)
	}
	if err := contexts.Save(contexts.Context{Name: "a"}); err == nil {
		t.Error("kept nowhere")
	}
}
