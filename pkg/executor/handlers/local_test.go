package handlers_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// yard is where the agents of a Local call in.
type yard struct {
	*testing.T
	net.Listener
	dir   string
	exits chan exit
}

type exit struct {
	id  fleet.NodeID
	pid int
	err error
}

func newYard(t *testing.T) *yard {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &yard{T: t, Listener: l, dir: t.TempDir(), exits: make(chan exit, 10)}
}

func (y *yard) local(role string) *handlers.Local {
	y.Helper()
	y.Setenv(roleVariable, role)
	l, err := handlers.NewLocal(handlers.LocalOptions{
		Dir: y.dir, URL: "tcp://" + y.Addr().String(), Program: []string{os.Args[0], "node-agent"},
		Prefix: "fleet", Lease: 3 * time.Second, Logger: zerolog.Nop().Level(zerolog.WarnLevel), StopGrace: 200 * time.Millisecond,
		OnExit: func(id fleet.NodeID, pid int, err error) { y.exits <- exit{id, pid, err} },
	})
	if err != nil {
		y.Fatal(err)
	}
	y.Cleanup(l.Close)
	return l
}

// call is an agent that called in.
type call struct {
	*bufio.Reader
	args string
}

func (y *yard) accept() call {
	y.Helper()
	conn, err := y.Accept()
	if err != nil {
		y.Fatal(err)
	}
	y.Cleanup(func() { conn.Close() })
	c := call{Reader: bufio.NewReader(conn)}
	c.args, err = c.ReadString('\n')
	if err != nil {
		y.Fatal(err)
	}
	return c
}

// gone waits until the process has let go of its connection.
func (c call) gone() { _, _ = io.Copy(io.Discard, c) }

func (y *yard) start(l *handlers.Local, id fleet.NodeID) <-chan error {
	y.Helper()
	gone, err := l.Start(y.Context(), id)
	if err != nil {
		y.Fatal(err)
	}
	return gone
}

func TestLocalRunsOneAgentForEachNode(t *testing.T) {
	y := newYard(t)
	l := y.local("polite")
	y.start(l, "-rf/a:b")
	got := y.accept()
	want := "node-agent --id=-rf/a:b --dir=" + y.dir + "/%2Drf%2Fa%3Ab --nats=tcp://" + y.Addr().String() +
		" --stop-on-stdin-eof --prefix=fleet --lease=3s --log-level=warn\n"
	if got.args != want {
		t.Errorf("arguments\n%swant\n%s", got.args, want)
	}
	pid := l.Running()["-rf/a:b"]
	y.start(l, "-rf/a:b")
	if again := l.Running()["-rf/a:b"]; again != pid || len(l.Running()) != 1 {
		t.Errorf("a second start replaced process %d with %d", pid, again)
	}
	l.Close()
	got.gone()
	if len(l.Running()) != 0 {
		t.Error("an agent runs after Close")
	}
	if _, err := l.Start(t.Context(), "b"); err == nil {
		t.Error("an agent was started after Close")
	}
	if len(y.exits) != 0 {
		t.Errorf("an exit that was asked for was reported: %v", <-y.exits)
	}
}

func TestLocalRunsTheAgentsOfTheLongestIDs(t *testing.T) {
	y := newYard(t)
	l := y.local("polite")
	ids := []fleet.NodeID{longID, fleet.NodeID("a" + strings.Repeat("/", 127)), fleet.NodeID(strings.Repeat("a/", 64)),
		fleet.NodeID(strings.Repeat("a", 65) + strings.Repeat(":", 63))}
	for _, id := range ids {
		y.start(l, id)
		if got := y.accept(); !strings.Contains(got.args, "--id="+string(id)+" --dir="+y.dir+"/"+events.FileName(id)+" ") {
			t.Errorf("arguments %s", got.args)
		}
	}
	l.Close()
	after := y.local("polite")
	if err := after.Resume(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	for range ids {
		y.accept() // all of them, before any is told to end
	}
	for _, id := range ids {
		if err := after.Remove(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(y.dir); err != nil || len(left) != len(ids) {
		t.Errorf("beside the %d logs there are %v, %v", len(ids), left, err)
	}
}

func TestAgentsDoNotSeeTheVariablesOfTheirParent(t *testing.T) {
	y := newYard(t)
	for _, name := range []string{"NATS_URL", "NATS_CONTEXT", "NATS_CREDS", "FLEETFOLD_CREDS", "FLEETFOLD_LEASE", "FLEETFOLD_LOG_LEVEL"} {
		t.Setenv(name, "of-the-parent")
	}
	t.Setenv("UNRELATED", "kept")
	y.start(y.local("telling"), "a")
	called := y.accept()
	environment, err := called.ReadString('\n')
	if err != nil || strings.Contains(environment, "of-the-parent") || !strings.Contains(environment, "UNRELATED=kept") {
		t.Errorf("the agent's environment is %s, %v", environment, err)
	}
	if strings.Contains(called.args, "of-the-parent") {
		t.Errorf("the agent's arguments are %s", called.args)
	}
}

func TestLocalReportsAnAgentThatEndsAndDoesNotStartItAgain(t *testing.T) {
	y := newYard(t)
	l := y.local("failing")
	gone := y.start(l, "a")
	reported := <-y.exits
	if reported.id != "a" || reported.pid == 0 || reported.err == nil || reported.err.Error() != "exit status 3" {
		t.Errorf("reported %+v", reported)
	}
	if err := <-gone; err == nil || err.Error() != "exit status 3" {
		t.Errorf("gone with %v", err)
	}
	if len(l.Running()) != 0 {
		t.Error("the agent runs again")
	}
	text, err := os.ReadFile(filepath.Join(y.dir, "a.log"))
	if err != nil || string(text) != "cannot go on\n" {
		t.Errorf("log %q, %v", text, err)
	}
}

func TestLocalKillsTheStubbornAndRemovesTheFolder(t *testing.T) {
	y := newYard(t)
	l := y.local("stubborn")
	y.start(l, "a")
	y.start(l, "b")
	first, second := y.accept(), y.accept()
	if err := l.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(y.dir, "a")); !os.IsNotExist(err) {
		t.Errorf("folder is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(y.dir, "b")); err != nil {
		t.Error(err)
	}
	if err := l.Remove(t.Context(), "never-started"); err != nil {
		t.Error(err)
	}
	l.Close()
	first.gone()
	second.gone()
}

func TestLocalResumesTheNodesThatHaveAFolder(t *testing.T) {
	y := newYard(t)
	before := y.local("polite")
	y.start(before, "a")
	y.accept()
	before.Close()
	after := y.local("polite")
	if err := after.Resume(t.Context(), []fleet.NodeID{"a", "elsewhere"}); err != nil {
		t.Fatal(err)
	}
	if got := y.accept(); !strings.Contains(got.args, "--id=a ") {
		t.Errorf("resumed %s", got.args)
	}
	if len(after.Running()) != 1 {
		t.Errorf("running %v", after.Running())
	}
}

func TestAgentsEndWhenTheirParentIsKilled(t *testing.T) {
	y := newYard(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=parent")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, y.dir+"\ntcp://"+y.Addr().String()+"\n"); err != nil {
		t.Fatal(err)
	}
	agent := y.accept()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	agent.gone()
}

func TestLocalNeedsAFolderAndAServerAndAProgram(t *testing.T) {
	if _, err := handlers.NewLocal(handlers.LocalOptions{Dir: t.TempDir()}); err == nil {
		t.Error("no URL was accepted")
	}
	l, err := handlers.NewLocal(handlers.LocalOptions{Dir: t.TempDir(), URL: "tcp://x", Program: []string{"/no/such/program"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Start(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "start agent /no/such/program") {
		t.Errorf("got %v", err)
	}
	if len(l.Running()) != 0 {
		t.Error("it runs")
	}
}
