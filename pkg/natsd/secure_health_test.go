package natsd_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// All that "fleetfold doctor" asks, people may ask.
func TestPeopleMayLookAtEverything(t *testing.T) { inEachMode(t, peopleMayLookAtEverything) }

func peopleMayLookAtEverything(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a", "rack/n.1")
	for _, id := range []fleet.NodeID{"a", "rack/n.1"} {
		if err := b.agent(id).Beat(patience(t), id, heartbeat(id), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	b.await("FLEET_PRESENCE", "fleet.presence.*", 2)
	appendFact(t, b.planner.Log())
	for _, r := range []busconf.Role{busconf.Operator, busconf.Auditor} {
		bus := b.bus(r)
		for _, h := range bus.CheckStreams(patience(t)) {
			if h.Err != nil || h.Missing || len(h.Wrong) > 0 {
				t.Errorf("%s is told of a stream: %+v", r, h)
			}
		}
		if h, err := bus.CheckActions(patience(t)); err != nil || !h.Missing {
			t.Errorf("%s is told of the actions: %+v, %v", r, h, err)
		}
		if _, err := bus.AccountLimits(patience(t)); err != nil {
			t.Errorf("%s asks for limits: %v", r, err)
		}
		if _, _, err := bus.ClockSkew(patience(t), time.Now); err != nil {
			t.Errorf("%s asks for the time: %v", r, err)
		}
		if all, err := bus.AskServers(patience(t)); err != nil || len(all) != 1 || !all[0].SyncAlways {
			t.Errorf("%s is told of servers: %+v, %v", r, all, err)
		}
		seen, err := bus.CurrentSightings(patience(t))
		if err != nil || len(seen) != 2 {
			t.Errorf("%s sees %+v, %v", r, seen, err)
		}
		for _, s := range seen {
			if s.Err != nil || s.Heartbeat == nil || s.Heartbeat.LeaseSeconds != 60 {
				t.Errorf("%s sees %+v", r, s)
			}
		}
	}
}

// Whoever may not is told so at once, and not when nobody has answered, and knows
// that nothing has come of it.
func TestWhatIsNotAllowedIsSaidAtOnce(t *testing.T) { inEachMode(t, whatIsNotAllowedIsSaidAtOnce) }

func whatIsNotAllowedIsSaidAtOnce(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	if _, err := b.bus(busconf.Executor).AccountLimits(t.Context()); !errors.Is(err, eventlog.ErrNotAllowed) {
		t.Errorf("an executor asks for limits: %v", err)
	}
	for _, n := range []int{1, 3} {
		entries := make([]eventlog.Entry, n)
		for i := range entries {
			entries[i] = eventlog.Entry{Event: lost("a", i)}
		}
		_, err := b.bus(busconf.Operator).Log().Append(t.Context(), entries...)
		if !errors.Is(err, eventlog.ErrNotAllowed) {
			t.Errorf("an operator appends %d facts of a node: %v", n, err)
		}
	}
	if got := b.count("FLEET", ">"); got != 0 {
		t.Errorf("the log has %d messages", got)
	}
}
