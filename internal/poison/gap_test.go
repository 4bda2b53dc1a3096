package poison

import (
	"errors"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// A message that is missing from the log is no reason to end: whoever starts
// the service again would only see it end again.
func TestAServiceStandsStillBeforeAGap(t *testing.T) {
	w := newWorld(t)
	w.tear(3)
	w.write()
	w.planner, w.executor = w.startPlanner(), w.startExecutor("executor")
	for _, s := range []*service{w.planner, w.executor} {
		w.await(s, "fleetfold_log_gap", 1)
		if code, text := clitest.Get(w.ctx, t, s.url+"/readyz"); code != 503 || !strings.Contains(text, "sequence 3 is missing") {
			t.Errorf("%s: readyz answers %d %s", s.name, code, text)
		}
		if code, text := clitest.Get(w.ctx, t, s.url+"/healthz"); code != 200 {
			t.Errorf("%s: healthz answers %d %s", s.name, code, text)
		}
		if n := strings.Count(s.log.String(), "standing still"); n != 1 {
			t.Errorf("%s says %d times why it stands still\n%s", s.name, n, s.log)
		}
	}
	// The file asks for an inventory and a node, and nobody decides any more.
	if last, err := w.bus.Log().Last(w.ctx); err != nil || last != 5 {
		t.Errorf("the log ends at %d, %v; want 5", last, err)
	}
	if records, err := w.bus.Log().Read(w.ctx, 0, 10); err != nil || len(records) != 2 {
		t.Errorf("read up to the gap: %d records, %v", len(records), err)
	}
	if _, err := w.bus.Log().Read(w.ctx, 2, 10); !errors.Is(err, eventlog.ErrGap) {
		t.Errorf("read: %v", err)
	}
}

// tear fills the log with five messages and takes one away, as only somebody
// can who may make the stream anew.
func (w *world) tear(seq uint64) {
	w.t.Helper()
	s, err := w.js.Stream(w.ctx, "FLEET")
	if err != nil {
		w.t.Fatal(err)
	}
	config := s.CachedInfo().Config
	if err := w.js.DeleteStream(w.ctx, "FLEET"); err != nil {
		w.t.Fatal(err)
	}
	open := config
	open.DenyDelete = false
	if s, err = w.js.CreateStream(w.ctx, open); err != nil {
		w.t.Fatal(err)
	}
	for range 5 {
		w.put(w.event(events.TypeNodeAppeared, "ghost", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: key}))
	}
	if err := s.DeleteMsg(w.ctx, seq); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.js.UpdateStream(w.ctx, config); err != nil {
		w.t.Fatal(err)
	}
}
