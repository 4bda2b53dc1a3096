package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// besides is one of several fleets on a server, with programs of its own.
type besides struct {
	t               *testing.T
	server, prefix  string
	dir, file       string
	planner         *exec.Cmd
	firstID, nextID string
}

func startBesides(t *testing.T, server, prefix string) *besides {
	t.Helper()
	dir := t.TempDir()
	f := &besides{
		t: t, server: "--nats=" + server, prefix: "--prefix=" + prefix, dir: dir, file: filepath.Join(dir, "fleet.yaml"),
		firstID: prefix + "-1", nextID: prefix + "-2",
	}
	f.apply(f.firstID)
	f.plan()
	process(t, "executor", f.server, f.prefix, "--driver", "local", "--dir", filepath.Join(dir, "executor"))
	return f
}

func (f *besides) apply(ids ...string) {
	f.t.Helper()
	if err := os.WriteFile(f.file, []byte(fleetOf(true, ids...)), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *besides) plan() {
	f.t.Helper()
	f.planner = process(f.t, "planner", f.server, f.prefix, "--inventory", f.file)
}

// run runs a command on this fleet, and must succeed.
func (f *besides) run(args ...string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	out, err := fleetfold(ctx, append(args, f.server, f.prefix)...).CombinedOutput()
	if err != nil {
		f.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (f *besides) strictWith(id string) {
	f.t.Helper()
	f.run("wait", "--for", "node="+id, "--timeout", "50s")
	f.run("wait", "--for", "converged", "--timeout", "50s")
	f.run("wait", "--for", "strict", "--timeout", "50s")
}

// Two fleets share a server and nothing else: without its planner one stands
// still, and the other goes on.
func TestFleetsSideBySideDoNotWaitForEachOther(t *testing.T) {
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	nyc, sfo := startBesides(t, server.URL(), "nyc"), startBesides(t, server.URL(), "sfo")
	nyc.strictWith(nyc.firstID)
	sfo.strictWith(sfo.firstID)

	if err := nyc.planner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = nyc.planner.Wait() // "signal: killed" is what we asked for
	nyc.apply(nyc.firstID, nyc.nextID)
	sfo.apply(sfo.firstID, sfo.nextID)
	sfo.strictWith(sfo.nextID)
	if log := nyc.run("log"); strings.Contains(log, nyc.nextID) {
		t.Errorf("somebody decided for nyc:\n%s", log)
	}
	if status := nyc.run("status"); !strings.Contains(status, "nobody decides") {
		t.Errorf("the status of nyc does not say that it has no planner:\n%s", status)
	}

	nyc.plan()
	nyc.strictWith(nyc.nextID)
	for _, f := range []*besides{nyc, sfo} {
		if said := f.run("audit"); !strings.Contains(said, "proved") {
			t.Errorf("the audit of %s says %s", f.prefix, said)
		}
	}
	if log := sfo.run("log"); strings.Contains(log, "nyc-") {
		t.Errorf("the log of sfo has something of nyc:\n%s", log)
	}
}
