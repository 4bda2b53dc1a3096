package eventlog

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"
)

// announce makes the bus known until the test ends or stop is called.
func announce(t *testing.T, b *Bus, kind ServiceKind, version string, report ServiceReport) (stop func()) {
	t.Helper()
	stop, err := b.Announce(kind, version, func() ServiceReport { return report })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return stop
}

func services(t *testing.T, b *Bus) []Service {
	t.Helper()
	found, err := b.Services(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func brief(list []Service) (text string) {
	for _, s := range list {
		text += fmt.Sprintf("%s at %d; ", s.Kind, s.Sequence)
	}
	return text
}

func TestServicesAnswerForThemselvesUntilTheyStop(t *testing.T) {
	server := testServer(t, t.TempDir(), 0)
	asker := testBus(t, server, Options{})
	if found := services(t, asker); len(found) != 0 {
		t.Fatalf("nobody is there, and yet: %+v", found)
	}
	executor, planner := testBus(t, server, Options{}), testBus(t, server, Options{})
	before := time.Now()
	stop := announce(t, executor, ExecutorService, "v1.2.3", ServiceReport{Sequence: 7, CaughtUp: true, Running: 2})
	announce(t, planner, PlannerService, "(devel)", ServiceReport{Sequence: 8, Plans: 3})
	announce(t, planner, PlannerService, "(devel)", ServiceReport{Sequence: 9})
	stranger := testBus(t, server, Options{Prefix: "other"})
	announce(t, stranger, PlannerService, "v1.2.3", ServiceReport{Sequence: 99})

	found := services(t, asker)
	if got, want := brief(found), "planner at 8; planner at 9; executor at 7; "; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	for _, s := range found {
		host, _ := os.Hostname()
		if s.PID != os.Getpid() || s.Host != host || s.ID == "" || s.Since.Before(before.Add(-time.Second)) || s.Since.After(time.Now()) {
			t.Errorf("%+v", s)
		}
	}
	if e := found[2]; e.Version != "v1.2.3" || !e.CaughtUp || e.Running != 2 || found[0].Plans != 3 {
		t.Errorf("%+v", found)
	}
	stop()
	planner.Close() // as a killed process does: without a word
	if found := services(t, asker); len(found) != 0 {
		t.Errorf("all are gone, and yet: %+v", found)
	}
	if found := services(t, stranger); brief(found) != "planner at 99; " {
		t.Errorf("the other fleet has %s", brief(found))
	}
}

// Whoever has only a plain client can ask, too.
func TestOneServiceOfAKindAnswersOnItsSubject(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	announce(t, b, PlannerService, "v1.2.3", ServiceReport{Sequence: 8})
	m, err := b.nc.RequestWithContext(patience(t), "fleet.service.planner", nil)
	if err != nil {
		t.Fatal(err)
	}
	var r ServiceReport
	if err := json.Unmarshal(m.Data, &r); err != nil || r.Sequence != 8 {
		t.Errorf("answer %s: %v", m.Data, err)
	}
}

// The protocol insists on semantic versions; a build may have none.
func TestAServiceHasASemanticVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "v1.2.3-rc.1+dirty": "1.2.3-rc.1", "(devel)": "0.0.0", "": "0.0.0",
	} {
		if got := semanticVersion(version); got != want {
			t.Errorf("%q: got %q, want %q", version, got, want)
		}
	}
}
