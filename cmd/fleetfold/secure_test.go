package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// serverLog keeps what a server says, from any goroutine.
type serverLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// violations are the lines that speak of somebody who did what they may not.
func (l *serverLog) violations() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "iolation") {
			all = append(all, line)
		}
	}
	return all
}

// The same fleet as TestSeparateProcessesConverge, on the bus that operators
// get: everybody has an identity of their own, and nobody tries what they may not.
func TestSeparateProcessesConvergeOnTheSecureBus(t *testing.T) {
	for _, mode := range []busconf.Mode{busconf.Certificates, busconf.Tokens} {
		t.Run(string(mode), func(t *testing.T) { separateProcesses(t, mode) })
	}
}

func separateProcesses(t *testing.T, mode busconf.Mode) {
	dir := t.TempDir()
	file, bus := filepath.Join(dir, "fleet.yaml"), filepath.Join(dir, "bus")
	apply := func(ids ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(fleetOf(true, ids...)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := fleetfold(t.Context(), "nats", "config", "--mode", string(mode), "--inventory", file, "--out", bus).CombinedOutput()
		if err != nil {
			t.Fatalf("nats config: %v\n%s", err, out)
		}
	}
	apply("a", "b", "rack/c.1")
	said := &serverLog{}
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Config: busdir.ConfigFile(bus), Logger: zerolog.New(said)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	as := func(folder string, args ...string) []string {
		return append(args, "--nats="+server.URL(), "--identity="+folder)
	}
	service := func(r busconf.Role, args ...string) []string { return as(busdir.Service(bus, r), args...) }
	run := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := fleetfold(ctx, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("fleetfold %q: %v\n%s", args, err, out)
		}
		return string(out)
	}

	planner := process(t, "planner", service(busconf.Planner, "--inventory", file, "--lease", "3s", "--snapshot-every", "3")...)
	process(t, "executor", service(busconf.Executor, "--dir", filepath.Join(dir, "executor"),
		"--attest-ca", filepath.Join(busdir.Service(bus, busconf.Executor), busdir.CAFile))...)
	for _, id := range []fleet.NodeID{"a", "b", "rack/c.1"} {
		process(t, "node-agent", as(busdir.Node(bus, id), "--id", string(id), "--dir", filepath.Join(dir, "nodes", string(id)), "--lease", "3s")...)
	}
	run(service(busconf.Operator, "wait", "--for", "converged", "--timeout", "50s")...)
	for _, c := range []struct {
		role busconf.Role
		args []string
		want string
	}{
		{busconf.Operator, []string{"log"}, "enforcement.enabled"},
		{busconf.Auditor, []string{"log"}, "enforcement.enabled"},
		{busconf.Operator, []string{"get", "nodes"}, "rack/c.1"},
		{busconf.Auditor, []string{"get", "nodes"}, "rack/c.1"},
		{busconf.Operator, []string{"status"}, "executor"},
		{busconf.Auditor, []string{"status"}, "executor"},
		{busconf.Operator, []string{"pause", "--node", "a", "-m", "works"}, "paused node a"},
		{busconf.Operator, []string{"resume", "--node", "a"}, "resumed node a"},
		{busconf.Operator, []string{"rotate", "--all", "--wait"}, "rotated the fleet"},
		{busconf.Operator, []string{"doctor"}, "15 ok, 0 unknown"},
		{busconf.Auditor, []string{"doctor"}, "15 ok, 0 unknown"},
	} {
		if out := run(service(c.role, c.args...)...); !strings.Contains(out, c.want) || strings.Contains(out, "none answered") {
			t.Errorf("%s %q says\n%s", c.role, c.args, out)
		}
	}

	if err := planner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = planner.Wait() // "signal: killed" is what we asked for
	apply("a", "b", "rack/c.1", "d")
	if mode == busconf.Certificates { // with tokens, a new node needs no reload
		if err := server.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	process(t, "planner", service(busconf.Planner, "--inventory", file, "--lease", "3s")...)
	process(t, "node-agent", as(busdir.Node(bus, "d"), "--id", "d", "--dir", filepath.Join(dir, "nodes", "d"), "--lease", "3s")...)
	for _, r := range []busconf.Role{busconf.Operator, busconf.Auditor} {
		if err := waitFact(t, "credential.proved", "d", service(r)...); err != nil {
			t.Errorf("the %s does not see the new node: %v", r, err)
		}
	}
	if v := said.violations(); len(v) > 0 {
		t.Errorf("somebody did what they may not:\n%s", strings.Join(v, ""))
	}
	out, err := fleetfold(t.Context(), service(busconf.Auditor, "pause")...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nothing was stored: the server does not allow it") || !strings.Contains(string(out), "fleet.events.control") {
		t.Errorf("the auditor pauses: %v\n%s", err, out)
	}
}

// An executor that runs the agents itself gives each the identity of its node.
func TestAgentsOfAnExecutorHaveTheirOwnIdentities(t *testing.T) {
	dir := t.TempDir()
	file, bus := filepath.Join(dir, "fleet.yaml"), filepath.Join(dir, "bus")
	if err := os.WriteFile(file, []byte(fleetOf(true, "a", "b")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := fleetfold(t.Context(), "nats", "config", "--inventory", file, "--out", bus).CombinedOutput(); err != nil {
		t.Fatalf("nats config: %v\n%s", err, out)
	}
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Config: busdir.ConfigFile(bus)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	nats := "--nats=" + server.URL()
	process(t, "executor", nats, "--identity", busdir.Service(bus, busconf.Executor), "--dir", filepath.Join(dir, "executor"),
		"--driver", "local", "--agent-identities", bus, "--lease", "3s")
	process(t, "planner", nats, "--identity", busdir.Service(bus, busconf.Planner), "--inventory", file, "--lease", "3s")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := fleetfold(ctx, "wait", "--for", "converged", "--timeout", "50s", nats, "--identity", busdir.Service(bus, busconf.Operator)).CombinedOutput()
	if err != nil {
		t.Errorf("wait: %v\n%s", err, out)
	}
}
