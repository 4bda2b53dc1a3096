package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestABriefStatusIsAPlannersWord(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	applyTo(ctx, t, server, fleetOf(true, "a"))
	nats := "--nats=" + server.URL()
	out, err := fleetfold(ctx, "status", "--brief", nats).CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), errNoWord.Error()) || !strings.Contains(string(out), "hint: ") {
		t.Errorf("without a planner: %v\n%s", err, out)
	}

	process(t, "planner", nats, "--lease", "1s")
	process(t, "executor", nats, "--dir", filepath.Join(t.TempDir(), "executor"), "--driver", "wait")
	var b brief
	for b.Fleet == nil || b.Fleet.InFlight == 0 || len(b.Services) < 2 {
		out, err := fleetfold(ctx, "status", "--brief", "-o", "json", nats).Output()
		if ctx.Err() != nil {
			t.Fatalf("it stays %s", out)
		}
		if b = (brief{}); err == nil {
			if err := json.Unmarshal(out, &b); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := b.Fleet
	if f.Wanted != 1 || f.Held["in_flight"] != 1 || f.Converged || f.Strict || f.Observed != 0 || f.Generation != 1 || f.Sequence == 0 || !strings.HasPrefix(f.Digest, "sha256:") {
		t.Errorf("the planner says %+v", f)
	}
	text, err := fleetfold(ctx, "status", "--brief", nats).Output()
	for _, want := range []string{"state        not converged at sequence ", "nodes        0 observed, 0 present, 0 signing\n", "wanted       1 action\n", "in flight    1\n", "held         1 in_flight\n", "\nplanner      ", "\nexecutor     "} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%q is missing: %v\n%s", want, err, text)
		}
	}
}

func TestTheWordOfThePlannerCountsThatHasReadFarthest(t *testing.T) {
	at := func(sequence uint64) *eventlog.FleetReport {
		return &eventlog.FleetReport{Sequence: sequence, Held: map[fleet.Reason]int{}}
	}
	services := []eventlog.Service{
		{Kind: eventlog.PlannerService, ServiceReport: eventlog.ServiceReport{Sequence: 9}},
		{Kind: eventlog.PlannerService, ServiceReport: eventlog.ServiceReport{Sequence: 7, Fleet: at(6)}},
		{Kind: eventlog.PlannerService, ServiceReport: eventlog.ServiceReport{Sequence: 8, Fleet: at(8)}},
		{Kind: eventlog.ExecutorService},
	}
	if b := briefOf(services, 9); b.Fleet.Sequence != 8 || b.Services[1].Lag != 2 {
		t.Errorf("it is %+v", b)
	}
	if b := briefOf(services[3:], 9); b.Fleet != nil {
		t.Errorf("nobody has decided, and it is %+v", b.Fleet)
	}
}
