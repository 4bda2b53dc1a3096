package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// shows waits until 'fleetfold log' has a line with all of these.
func shows(t *testing.T, args []string, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said := ""
	for ctx.Err() == nil {
		out, err := fleetfold(ctx, append([]string{"log", "--type", "message.refused"}, args...)...).Output()
		if said = string(out); err != nil {
			continue
		}
	lines:
		for line := range strings.Lines(said) {
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue lines
				}
			}
			return
		}
	}
	t.Fatalf("the log shows no line with %q:\n%s", parts, said)
}

// Whoever speaks for another, or writes what they may not, is refused by the server
// of a secure fleet, and everybody can see it in its log.
func TestWhomTheServerRefusesShowsInTheLog(t *testing.T) {
	p := startUp(t, fleetOf(true, "a", "b"), "--secure")
	p.event("enforcement.enabled", "")
	args := append([]string{"--nats", p.url}, p.flags...)
	bus := filepath.Dir(filepath.Dir(p.flags[1]))

	ctx, cancel := context.WithCancel(t.Context())
	posing := fleetfold(ctx, "node-agent", "--id", "b", "--nats", p.url, "--identity", filepath.Join(bus, "identities", "nodes", "a"), "--dir", filepath.Join(t.TempDir(), "b"))
	if err := posing.Start(); err != nil {
		t.Fatal(err)
	}
	shows(t, args, " a ", "bus: permission_subscribe", `may not subscribe to`)
	shows(t, args, " a ", "bus: permission_publish", "may not publish to")
	cancel()
	_ = posing.Wait() // "signal: killed" is what we asked for

	out, err := fleetfold(t.Context(), "pause", "--nats", p.url, "--identity", filepath.Join(bus, "identities", "auditor")).CombinedOutput()
	if err == nil {
		t.Errorf("the auditor pauses:\n%s", out)
	}
	shows(t, args, "bus: permission_publish", `urn:fleetfold:service:auditor may not publish to "fleet.events.control"`)
	if err := fleetfold(t.Context(), "status", "--nats", p.url, "--tlsca", filepath.Join(p.flags[1], busdir.CAFile)).Run(); err == nil {
		t.Error("a stranger is let in")
	}
	shows(t, args, "bus: tls_handshake")
	if out, err := fleetfold(t.Context(), append([]string{"audit"}, args...)...).CombinedOutput(); err != nil {
		t.Errorf("audit: %v\n%s", err, out)
	}
}

// On a secure bus a node's receiver may say what it has refused, and nothing else is
// needed for that.
func TestWhatAReceiverRefusesShowsInTheLog(t *testing.T) {
	for _, mode := range []busconf.Mode{busconf.Certificates, busconf.Tokens} {
		t.Run(string(mode), func(t *testing.T) { receiverRefuses(t, mode) })
	}
}

func receiverRefuses(t *testing.T, mode busconf.Mode) {
	dir := t.TempDir()
	file, bus := filepath.Join(dir, "fleet.yaml"), filepath.Join(dir, "bus")
	if err := os.WriteFile(file, []byte(fleetOf(true, "a")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := fleetfold(t.Context(), "nats", "config", "--mode", string(mode), "--inventory", file, "--out", bus).CombinedOutput(); err != nil {
		t.Fatalf("nats config: %v\n%s", err, out)
	}
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Config: busdir.ConfigFile(bus)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	as := func(folder string, args ...string) []string {
		return append(args, "--nats="+server.URL(), "--identity="+folder)
	}
	executor, address := busdir.Service(bus, busconf.Executor), port.At(port.Hold(t))
	process(t, "planner", as(busdir.Service(bus, busconf.Planner), "--inventory", file, "--lease", "3s")...)
	process(t, "executor", as(executor, "--dir", filepath.Join(dir, "executor"), "--attest-ca", filepath.Join(executor, busdir.CAFile))...)
	process(t, "node-agent", as(busdir.Node(bus, "a"), "--id", "a", "--dir", filepath.Join(dir, "a"), "--lease", "3s", "--receive", address)...)
	auditor := as(busdir.Service(bus, busconf.Auditor))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := fleetfold(ctx, append([]string{"wait", "--for", "strict", "--timeout", "50s"}, auditor...)...).CombinedOutput(); err != nil {
		t.Fatalf("wait: %v\n%s", err, out)
	}
	for refused := false; !refused && ctx.Err() == nil; { // it may hear of the flip a moment later
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"ce-specversion": "1.0", "ce-id": "1", "ce-type": "test", "ce-source": "me"} {
			req.Header.Set(name, value)
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		refused = answer.StatusCode == http.StatusUnauthorized
		answer.Body.Close()
	}
	shows(t, auditor, " a ", "post: unsigned", `from "me": the post is not signed`)
	http.DefaultClient.CloseIdleConnections()
}
