package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// process starts one of the programs and stops it gently when the test ends.
func process(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(os.Interrupt)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s ended with %v", program, err)
			}
		}
		if t.Failed() {
			t.Logf("%s %s said:\n%s", program, strings.Join(args, " "), said.String())
		}
	})
	return cmd
}

// The same fleet as separate processes, as the README starts them by hand;
// then the planner and the executor are killed and started again.
func TestSeparateProcessesConverge(t *testing.T) {
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	dir := t.TempDir()
	file := filepath.Join(dir, "fleet.yaml")
	apply := func(ids ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(fleetOf(true, ids...)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nats := "--nats=" + server.URL()
	converged := func() string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := fleetfold(ctx, "wait", "--for", "converged", "--timeout", "50s", nats).CombinedOutput()
		if err != nil {
			t.Fatalf("wait: %v\n%s", err, out)
		}
		log, err := fleetfold(ctx, "log", nats).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(log)
	}

	clients, err := attest.OpenLocal(filepath.Join(dir, "clients"), nil)
	if err != nil {
		t.Fatal(err)
	}
	apply("a", "b", "c")
	planner := process(t, "planner", nats, "--inventory", file, "--lease", "3s")
	executor := process(t, "executor", nats, "--dir", filepath.Join(dir, "executor"), "--attest-ca", clients.File)
	for _, id := range []string{"a", "b", "c", "d"} {
		if err := clients.Equip(fleet.NodeID(id), filepath.Join(dir, id)); err != nil {
			t.Fatal(err)
		}
		process(t, "node-agent", nats, "--id", id, "--dir", filepath.Join(dir, id), "--lease", "3s")
	}
	// d is in no inventory: it is told to stop, and does.
	log := converged()
	for _, want := range []string{"enforcement.enabled", "EnableStrictEnforcement"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}

	for _, victim := range []*exec.Cmd{planner, executor} {
		if err := victim.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = victim.Wait() // "signal: killed" is what we asked for
	}
	apply("a", "b")
	process(t, "planner", nats, "--inventory", file, "--lease", "3s")
	process(t, "executor", nats, "--dir", filepath.Join(dir, "executor"), "--attest-ca", clients.File)
	if err := waitFact(t, "node.removed", "c", nats); err != nil {
		t.Fatal(err)
	}
	converged()
}

// waitFact follows the log until it shows that fact of that node.
func waitFact(t *testing.T, typ, node string, flags ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := fleetfold(ctx, append([]string{"log", "--follow", "--node", node}, flags...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	found := false
	p := &upProcess{t: t}
	p.scan(out, func(line string) {
		if !found && strings.Contains(line, typ) {
			found = true
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}, func() {})
	return cmd.Wait()
}
