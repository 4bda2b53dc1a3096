package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/listing"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestATableStaysATable(t *testing.T) {
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 3600))
	reason := "timeout: " + strings.Repeat("ä", 100)
	var out bytes.Buffer
	wide, err := listing.Parse("wide", "")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return end.Add(-90 * time.Minute) }
	if err := listing.Write(&out, wide, nodeColumns(now), []status.Node{{ID: "a", NotAfter: &end, LastError: reason}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CREDENTIAL UNTIL (UTC)", "  1h30m  ", "2026-01-02 02:04:05", "timeout: " + strings.Repeat("ä", 30) + "…\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestStatusIsAPageOfWhatMatters(t *testing.T) {
	began := time.Now().Add(-time.Minute)
	enroll := fleet.Action{Type: fleet.EnrollNode, ID: "n0"}
	s := status.Status{
		Inventory: status.Inventory{Digest: "sha256:" + strings.Repeat("0", 64), Generation: 1}, Sequence: 9, Unfit: 2,
		Stuck: []engine.Stuck{{Action: enroll, Failures: 4, LastError: "odd: very\nand long", LastOutcome: began}},
		Held: []fleet.Held{
			{Action: enroll, Reason: engine.ReasonBackingOff, Detail: "told with what is stuck"},
			{Action: fleet.Action{Type: fleet.IssueCredential, ID: "n1"}, Reason: engine.ReasonBackingOff, Detail: "until noon"},
		},
		Services: []status.Service{
			{Service: eventlog.Service{Kind: eventlog.PlannerService, Host: "alpha", PID: 7, Since: began, ServiceReport: eventlog.ServiceReport{Sequence: 9, CaughtUp: true, Plans: 1}}},
			{Service: eventlog.Service{Kind: eventlog.PlannerService, Host: "be", PID: 12345, Since: began, ServiceReport: eventlog.ServiceReport{Sequence: 6, CaughtUp: true}}, Lag: 3},
			{Service: eventlog.Service{Kind: eventlog.PlannerService, Host: "c", PID: 1, Since: began, ServiceReport: eventlog.ServiceReport{Sequence: 2}}, Lag: 7},
		},
	}
	for i := range 200 {
		id := fleet.NodeID(fmt.Sprintf("n%d", i))
		s.Plan.Actions = append(s.Plan.Actions, fleet.Action{Type: fleet.EnrollNode, ID: id})
		s.InFlight = append(s.InFlight, status.Flight{Type: fleet.EnrollNode, ID: id, Attempt: 1, Since: began})
	}
	var out bytes.Buffer
	if err := statusText(&out, s); err != nil {
		t.Fatal(err)
	}
	since := "since " + began.Format(time.TimeOnly)
	for _, want := range []string{
		"\nplanner      alpha pid 7   " + since + ", at sequence 9, 1 plan published\n",
		"\nplanner      be pid 12345  " + since + ", at sequence 6, 3 behind, 0 plans published\n",
		"\nplanner      c pid 1       " + since + ", still reading the log, at 2, 0 plans published\n",
		"\nexecutor     none answered: nobody carries actions out\n",
		"\nunfit        2 messages of the log are no events, and count for nothing\n",
		"\nstuck        1 action, see below\n",
		"             EnrollNode n9 (attempt 1, " + since + ")\n             and 190 more\n",
		"\n+ EnrollNode                n9\n  and 190 more\n",
		"\n= 1 action not published yet:\n    IssueCredential  n1\n        backing_off: until noon\n",
		"\nx 1 action is stuck, and tried on:\n    EnrollNode  n0\n        odd: very…\n        failed 4 times in a row; another attempt is under way\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines > 50 {
		t.Errorf("%d lines are no page", lines)
	}
}

func TestStatusShowsAShortDigest(t *testing.T) {
	var out bytes.Buffer
	s := status.Status{Inventory: status.Inventory{Digest: "sha256:" + strings.Repeat("0123456789abcdef", 4), Generation: 3}}
	if err := statusText(&out, s); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "inventory    generation 3, 0123456789ab\n") {
		t.Errorf("got\n%s", &out)
	}
}
