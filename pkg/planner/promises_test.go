package planner

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// torn is a log that fails after its first append.
type torn struct {
	eventlog.Log
	appends *atomic.Int32
}

func (l torn) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	if l.appends.Add(1) > 1 {
		return 0, errors.New("torn")
	}
	return l.Log.Append(ctx, entries...)
}

func desired(t *testing.T) eventlog.Log {
	t.Helper()
	log := eventlog.NewMemory(events.DefaultSubjects(), nil)
	add(t, log, events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: inventory.Digest([]byte(oneNode)), Generation: 1, Actor: "test"})
	return log
}

func TestAPlanIsWholeOrNotThere(t *testing.T) {
	log := desired(t)
	if end := decideOnce(t, torn{log, new(atomic.Int32)}, 1); end != 4 {
		t.Errorf("the log ends at %d, want the plan for two nodes, to 4, or nothing of it", end)
	}
}

// Two planners decide the same on the same fold, and one is later.
func TestAPlanIsPublishedOnlyIfNoOtherCameBetween(t *testing.T) {
	log := desired(t)
	for who, end := range []uint64{4, 4} {
		if got := decideOnce(t, log, 1); got != end {
			t.Errorf("after planner %d the log ends at %d, want %d", who+1, got, end)
		}
	}
}

// A log of which a part was read is an older fleet.
func TestNothingIsDecidedBeforeTheLogIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := desired(t)
		add(t, log, events.TypeNodeAppeared, "n1", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: "k"})
		for _, c := range []struct{ read, end uint64 }{{1, 2}, {2, 5}} { // a plan of two actions, once all is read
			ctx, cancel := context.WithCancel(t.Context())
			p := newPlanner(t, stalled{log, c.read})
			ended := make(chan error, 1)
			go func() { ended <- p.View.Run(ctx) }()
			synctest.Wait()
			if err := p.step(ctx); err != nil {
				t.Fatal(err)
			}
			if end, _ := log.Last(ctx); end != c.end {
				t.Errorf("with the log read up to %d of 2, it ends at %d, want %d", c.read, end, c.end)
			}
			cancel()
			<-ended
		}
	})
}

func newPlanner(t *testing.T, log stalled) *Planner {
	t.Helper()
	p, err := New(Config{
		Log: log.Log, View: view.New(log), Inventories: view.NewInventories(func(context.Context, string) ([]byte, error) { return []byte(oneNode), nil }),
		Sightings: noSightings{}, Statements: noStatements{}, Lease: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What failed is on the log, and so is how often: another planner waits as the
// first would have.
func TestAFailureIsNotForgottenByARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := desired(t)
		const failures = 4
		for attempt := 1; attempt <= failures; attempt++ {
			for _, id := range []fleet.NodeID{"n1", "n2"} {
				fail(t, log, fleet.Action{Type: fleet.EnrollNode, ID: id}, attempt)
			}
		}
		end, _ := log.Last(t.Context())
		time.Sleep(7 * time.Second) // fake time: three attempts would have waited 4 s and the jitter
		if got := decideOnce(t, log, end); got != end {
			t.Errorf("published at %d while everything is backing off", got)
		}
		time.Sleep(10 * time.Second) // fake time
		if got := decideOnce(t, log, end); got != end+3 {
			t.Errorf("the log ends at %d, want the next attempts, to %d", got, end+3)
		}
		records, err := log.Read(t.Context(), end+1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if d := records[0].Event.Data.(*events.ActionRequested); d.Attempt != failures+1 {
			t.Errorf("attempt %d, want %d", d.Attempt, failures+1)
		}
	})
}

func fail(t *testing.T, log eventlog.Log, a fleet.Action, attempt int) {
	t.Helper()
	id := engine.ActionIDFor(a, 1, 1, attempt)
	_, err := log.Append(t.Context(),
		eventlog.Entry{Event: &events.Event{
			ID: "x", Source: events.SourcePlanner, Type: events.TypeOfAction(a.Type), Node: a.ID, Time: dawn,
			Step: &events.Step{Plan: "plan-x", Step: 1, Steps: 1, Basis: 1},
			Data: &events.ActionRequested{Type: a.Type, ID: a.ID, Action: id, Attempt: attempt, Epoch: 1, Generation: 1},
		}},
		eventlog.Entry{Event: &events.Event{
			ID: "x", Source: events.SourceExecutor, Type: events.TypeActionFailed, Node: a.ID, Time: dawn,
			Data: &events.ActionFailed{Type: a.Type, ID: a.ID, Action: id, Reason: "x"},
		}})
	if err != nil {
		t.Fatal(err)
	}
}

// rivalled is a log onto which somebody else appends just before the first append.
type rivalled struct {
	eventlog.Log
	rival func()
}

func (l *rivalled) Append(ctx context.Context, entries ...eventlog.Entry) (uint64, error) {
	if rival := l.rival; rival != nil {
		l.rival = nil
		rival()
	}
	return l.Log.Append(ctx, entries...)
}

type shelf struct{}

func (shelf) PutInventory(_ context.Context, text []byte) (string, error) {
	return inventory.Digest(text), nil
}

func TestTwoInventoriesAtOnceAreTwoGenerations(t *testing.T) {
	log := &rivalled{Log: desired(t)}
	log.rival = func() {
		add(t, log.Log, events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: "sha256:rival", Generation: 2, Actor: "rival"})
	}
	ctx, cancel := context.WithCancel(t.Context())
	v := view.New(log)
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	generation, applied, err := Apply(ctx, shelf{}, log, v, []byte(ghostly), "test", "", dawn)
	if err != nil || !applied || generation != 3 {
		t.Errorf("generation %d, applied %v, %v; want generation 3, behind the rival's", generation, applied, err)
	}
	v.Read(func(st *projection.State) {
		if ref := st.Inventory(); err == nil && st.Sequence() >= 3 && ref.Actor != "test" {
			t.Errorf("in force is %+v", ref)
		}
	})
	cancel()
	<-ended
}

// Another inventory may come into force while the text of this one is fetched.
func TestAPlanIsOfTheInventoryInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := desired(t)
		ctx, cancel := context.WithCancel(t.Context())
		p := newPlanner(t, stalled{log, 1})
		ended := make(chan error, 1)
		go func() { ended <- p.View.Run(ctx) }()
		synctest.Wait()
		var ref projection.InventoryRef
		p.View.Read(func(st *projection.State) { ref = st.Inventory() })
		inv, err := p.Inventories.Get(ctx, ref.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := p.conclude(inv, ref); !ok || len(d.Publish) != 2 {
			t.Errorf("of the inventory in force: %+v, %v", d.Dispatched, ok)
		}
		ref.Generation++
		if d, ok := p.conclude(inv, ref); ok {
			t.Errorf("of another: %+v", d.Dispatched)
		}
		cancel()
		<-ended
	})
}
