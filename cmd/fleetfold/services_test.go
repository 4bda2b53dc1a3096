package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// active are the process ids of a kind that answer.
func active(s status.Status, kind eventlog.ServiceKind) (pids []int) {
	for _, x := range s.Services {
		if x.Kind == kind {
			pids = append(pids, x.PID)
		}
	}
	slices.Sort(pids)
	return pids
}

// awaitStatus asks for the status until it is as wanted.
func awaitStatus(t *testing.T, nats string, holds func(status.Status) bool) (s status.Status) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		out, err := fleetfold(ctx, "status", "-o", "json", nats).Output()
		if ctx.Err() != nil {
			t.Fatalf("status stays %+v", s)
		}
		s = status.Status{}
		if err == nil && json.Unmarshal(out, &s) == nil && holds(s) {
			return s
		}
	}
}

func TestStatusShowsWhoIsActive(t *testing.T) {
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	dir := t.TempDir()
	file := filepath.Join(dir, "fleet.yaml")
	if err := os.WriteFile(file, []byte(fleetOf(true, "a")), 0o600); err != nil {
		t.Fatal(err)
	}
	nats := "--nats=" + server.URL()
	first := process(t, "planner", nats, "--inventory", file, "--lease", "3s")
	s := awaitStatus(t, nats, func(s status.Status) bool { return len(active(s, eventlog.PlannerService)) == 1 && s.Sequence > 0 })
	if got := s.Services[0]; got.PID != first.Process.Pid || got.ID == "" || got.Host == "" || time.Since(got.Since) > time.Minute {
		t.Errorf("the planner is %+v", got)
	}
	text, err := fleetfold(t.Context(), "status", nats).Output()
	if err != nil || !strings.Contains(string(text), "\nexecutor     none answered: nobody carries actions out\n") {
		t.Errorf("status without an executor: %v\n%s", err, text)
	}

	second := process(t, "planner", nats, "--inventory", file, "--lease", "3s")
	executor := process(t, "executor", nats, "--dir", filepath.Join(dir, "executor"))
	process(t, "planner", nats, "--prefix", "other") // of another fleet
	both := []int{first.Process.Pid, second.Process.Pid}
	slices.Sort(both)
	awaitStatus(t, nats, func(s status.Status) bool {
		return slices.Equal(active(s, eventlog.PlannerService), both) &&
			slices.Equal(active(s, eventlog.ExecutorService), []int{executor.Process.Pid})
	})

	// Who is paused does no work, and does not answer.
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s = awaitStatus(t, nats, func(s status.Status) bool { return len(active(s, eventlog.PlannerService)) == 1 })
	if pid := active(s, eventlog.PlannerService)[0]; pid != second.Process.Pid {
		t.Errorf("the active planner is %d, want %d", pid, second.Process.Pid)
	}
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, nats, func(s status.Status) bool { return slices.Equal(active(s, eventlog.PlannerService), both) })
}
