package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/status"
)

// upProcess is a running 'fleetfold up -o jsonl' and what it has printed.
type upProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	file  string
	url   string
	flags []string // besides --nats
	lines chan map[string]any
	notes chan string
}

// fleetfold is a command with the real main: testscript put the program into
// PATH when the tests began.
func fleetfold(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "fleetfold", args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

func startUp(t *testing.T, inventory string, more ...string) *upProcess {
	t.Helper()
	// Not t.Context: it ends before the cleanup that stops the fleet gently.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	p := &upProcess{t: t, file: filepath.Join(t.TempDir(), "fleet.yaml"), lines: make(chan map[string]any, 4096), notes: make(chan string, 4096)}
	p.write(inventory)
	dir := filepath.Join(t.TempDir(), "fleet")
	if slices.Contains(more, "--secure") {
		p.flags = []string{"--identity", filepath.Join(dir, "bus", "identities", "operator")}
	}
	p.cmd = fleetfold(ctx, append([]string{"up", "--inventory", p.file, "--dir", dir, "--lease", "2s", "-o", "jsonl", "--log-level", "info"}, more...)...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	notes, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.scan(out, func(line string) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			m = map[string]any{"unreadable": line}
		}
		p.lines <- m
	}, func() { close(p.lines) })
	go p.scan(notes, func(line string) { p.notes <- line }, func() { close(p.notes) })
	p.url = strings.TrimSpace(strings.TrimPrefix(p.note(`^server `), "server"))
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *upProcess) scan(r io.Reader, each func(string), end func()) {
	defer end()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		each(lines.Text())
	}
}

// write replaces the inventory as an editor does: a new file, then a rename.
func (p *upProcess) write(text string) {
	p.t.Helper()
	if err := os.WriteFile(p.file+"~", []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(p.file+"~", p.file); err != nil {
		p.t.Fatal(err)
	}
}

// note waits for a line on standard error.
func (p *upProcess) note(pattern string) string {
	p.t.Helper()
	want := regexp.MustCompile(pattern)
	for {
		select {
		case line, ok := <-p.notes:
			if !ok {
				p.t.Fatalf("ended before it said %q", pattern)
			}
			if want.MatchString(line) {
				return line
			}
		case <-time.After(time.Minute):
			p.t.Fatalf("did not say %q within a minute", pattern)
		}
	}
}

// event waits for an event of that type about that node ("" for any).
func (p *upProcess) event(typ, node string) map[string]any {
	p.t.Helper()
	for {
		select {
		case m, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("ended before %s of %q", typ, node)
			}
			e, _ := m["event"].(map[string]any)
			if e["type"] == typ && (node == "" || e["subject"] == node) {
				return e
			}
		case <-time.After(time.Minute):
			p.t.Fatalf("no %s of %q within a minute", typ, node)
		}
	}
}

func (p *upProcess) run(args ...string) string {
	p.t.Helper()
	out, err := fleetfold(p.t.Context(), append(append(args, "--nats", p.url), p.flags...)...).Output()
	if err != nil {
		p.t.Fatalf("fleetfold %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func (p *upProcess) status() status.Status {
	p.t.Helper()
	var s status.Status
	if err := json.Unmarshal([]byte(p.run("status", "-o", "json")), &s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// agent is the process id of a node's agent, as its start was logged.
func (p *upProcess) agent(node string) int {
	p.t.Helper()
	line := p.note(`"node":"` + regexp.QuoteMeta(node) + `".*"message":"agent started"`)
	pid, err := strconv.Atoi(regexp.MustCompile(`"pid":(\d+)`).FindStringSubmatch(line)[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

func (p *upProcess) stop() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("up ended with %v after an interrupt", err)
	}
}

const nodeLine = "      - {id: %, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}\n"

func fleetOf(strict bool, ids ...string) string {
	var b strings.Builder
	b.WriteString("trust_domain: fleet.example\nregions:\n  - name: nyc\n    nodes:\n")
	for _, id := range ids {
		b.WriteString(strings.Replace(nodeLine, "%", id, 1))
	}
	b.WriteString("quorum: {width: 1}\nenforcement: {require_sig: " + strconv.FormatBool(strict) + "}\n")
	return b.String()
}

func TestARunningFleetFollowsItsFile(t *testing.T) { followsItsFile(t) }

func TestASecureFleetFollowsItsFile(t *testing.T) { followsItsFile(t, "--secure") }

func followsItsFile(t *testing.T, flags ...string) {
	p := startUp(t, fleetOf(true, "a", "b"), flags...)
	p.event("enforcement.enabled", "")

	p.write(fleetOf(true, "a", "b", "region/x/c"))
	p.event("enroll-node", "region/x/c")
	p.event("credential.proved", "region/x/c")

	p.write(fleetOf(true, "a", "b"))
	p.event("decommission-node", "region/x/c")
	p.event("credential.revoked", "region/x/c")
	p.event("node.removed", "region/x/c")
	p.run("wait", "--for", "converged", "--timeout", "30s")

	before := p.status()
	p.write("trust_domain: [\n")
	p.note(`is not valid, the last good inventory stays in force`)
	p.note(`fleet\.yaml:\d+: .*\[inventory_parse_error\]`)
	if after := p.status(); after.Inventory != before.Inventory || after.Sequence != before.Sequence {
		t.Errorf("a broken file changed %+v to %+v", before, after)
	}

	p.write(fleetOf(false, "a", "b"))
	p.event("enforcement.disabled", "")
	p.run("wait", "--for", "converged", "--timeout", "30s")
	if s := p.status(); s.Observed.StrictEnforced || !s.Converged {
		t.Errorf("after relaxing: %+v", s)
	}
	if out := p.run("audit"); !strings.HasPrefix(out, "proved: ") {
		t.Errorf("its history: %s", out)
	}
}

func TestAKilledAgentIsLostAndEnrolledAgain(t *testing.T) {
	p := startUp(t, fleetOf(true, "a", "b"))
	pid := p.agent("a")
	p.event("enforcement.enabled", "")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.event("node.lost", "a")
	p.event("enroll-node", "a")
	p.event("node.appeared", "a")
	p.event("action.succeeded", "a")
	if again := p.agent("a"); again == pid {
		t.Errorf("the agent has its old process id %d", again)
	}
	p.run("wait", "--for", "converged", "--timeout", "30s")
}

func TestCommandsReadARunningFleet(t *testing.T) {
	p := startUp(t, fleetOf(true, "a", "b"))
	p.event("enforcement.enabled", "")
	if out := p.run("wait", "--for", "converged", "--timeout", "30s"); !strings.HasPrefix(out, "converged at sequence ") {
		t.Errorf("wait said %q", out)
	}
	s := p.status()
	if !s.Converged || len(s.Observed.Nodes) != 2 || !s.Observed.StrictEnforced || s.Inventory.Generation != 1 {
		t.Errorf("status %+v", s)
	}
	if out := p.run("status"); !strings.Contains(out, "converged at sequence") || !strings.Contains(out, "strict") {
		t.Errorf("status text:\n%s", out)
	}
	var nodes []status.Node
	if err := json.Unmarshal([]byte(p.run("get", "nodes", "-o", "json")), &nodes); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if !n.Desired || !n.Present || !n.CanSign || n.Serial == "" || n.Region != "nyc" {
			t.Errorf("node %+v", n)
		}
	}
	for _, line := range bytes.Split(bytes.TrimSpace([]byte(p.run("log", "--node", "a", "-o", "jsonl"))), []byte("\n")) {
		var m struct {
			Seq   uint64
			Event struct{ Type, Subject, Specversion string }
		}
		if err := json.Unmarshal(line, &m); err != nil || m.Event.Subject != "a" || m.Event.Specversion != "1.0" || m.Seq == 0 {
			t.Errorf("log line %s: %+v, %v", line, m, err)
		}
	}
	out, err := fleetfold(t.Context(), "log", "--node", "nope", "--nats", p.url).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "nothing on the log concerns node nope") {
		t.Errorf("log of a node that is not there: %v, %q", err, out)
	}
	p.stop()
	if out, err := fleetfold(t.Context(), "status", "--nats", p.url).CombinedOutput(); err == nil || !strings.Contains(string(out), "hint: ") && !strings.Contains(string(out), "127.0.0.1") {
		t.Errorf("status of a stopped fleet: %v\n%s", err, out)
	}
}
