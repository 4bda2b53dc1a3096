package main

import (
	"bufio"
	"context"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// freePort is one that a server just gave back.
func freePort(t *testing.T) (port int, at string) {
	t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(u.Port()); err != nil {
		t.Fatal(err)
	}
	return port, server.URL()
}

// Whoever starts everything at once, and then waits, asks before it is there.
func TestWaitWaitsForServerAndLog(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	port, at := freePort(t)
	cmd := fleetfold(ctx, "wait", "--for", "converged", "--nats", at)
	var out strings.Builder
	cmd.Stdout = &out
	notes, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(notes)
	next := func(want string) {
		t.Helper()
		if !said.Scan() || !strings.HasPrefix(said.Text(), want) {
			t.Fatalf("said %q, want %q", said.Text(), want)
		}
	}

	next("waiting for the server of the fleet: ")
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	next("waiting for the log of the fleet: ")
	applyTo(ctx, t, server, nothingToDo)
	if said.Scan() {
		t.Errorf("said again: %q", said.Text())
	}
	if err := cmd.Wait(); err != nil || out.String() != "converged at sequence 1\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

// nothingToDo is an inventory of nobody.
const nothingToDo = "trust_domain: fleet.example\nquorum: {width: 1}\nenforcement: {require_sig: false}\n"

// applyTo makes the log of a fleet and puts an inventory into force.
func applyTo(ctx context.Context, t *testing.T, server *natsd.Server, text string) {
	t.Helper()
	bus, err := eventlog.Connect(ctx, eventlog.Options{InProcess: server, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	if err := bus.EnsureStreams(ctx); err != nil {
		t.Fatal(err)
	}
	v := view.New(bus.Log())
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- v.Run(running) }()
	if _, _, err := planner.Apply(ctx, bus, bus.Log(), v, []byte(text), "ada", "", time.Now()); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWaitSaysAtTheTimeoutWhatIsMissing(t *testing.T) {
	const nobody = "nats://127.0.0.1:1" // a port that no server is ever given by chance
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	for does, c := range map[string]struct {
		at    string
		wants []string
	}{
		"the server": {nobody, []string{"did not converge in time (1s): connect to nats at " + nobody, "hint: start a server there"}},
		"the log":    {server.URL(), []string{"did not converge in time (1s): read the log of fleet \"fleet\"", "hint: is it the right server"}},
	} {
		t.Run(does, func(t *testing.T) {
			said, err := fleetfold(t.Context(), "wait", "--for", "converged", "--timeout", "1s", "--nats", c.at).CombinedOutput()
			for _, want := range append(c.wants, "waiting for "+does) {
				if strings.Count(string(said), want) != 1 {
					t.Errorf("not once %q in\n%s", want, said)
				}
			}
			if exitCode(err) != 1 {
				t.Errorf("exit code %d", exitCode(err))
			}
		})
	}
}

func TestWaitSaysAtTheTimeoutWhatIsToDo(t *testing.T) {
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	applyTo(ctx, t, server, fleetOf(false, "a"))
	said, err := fleetfold(ctx, "wait", "--for", "converged", "--timeout", "1s", "--nats", server.URL()).CombinedOutput()
	const want = "error: the fleet did not converge in time (1s): to do: EnrollNode a; 0 in flight\nhint: 'fleetfold status' and"
	if exitCode(err) != 1 || !strings.HasPrefix(string(said), want) {
		t.Errorf("exit code %d, said\n%s", exitCode(err), said)
	}
}
