package fleetday

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/bubble"
	"github.com/fleetfold/fleetfold/internal/explained"
	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func TestMain(m *testing.M) { leak.Main(m) }

// rig is one fleet in one bubble.
type rig struct {
	*testing.T
	dir       string
	began     time.Time
	site      *site
	processes map[string]*process
	witness   *witness
	diary     diary
	runs      runs
	desired   desired
	ends      []func()
	// renews says that executors answer the nodes' requests for renewal. Most
	// stories are of credentials that end.
	renews bool
	// clients vouches for the agents.
	clients *attest.Local
}

// atEnd has f called when the story is over, before anything is stopped.
func (r *rig) atEnd(f func()) { r.ends = append(r.ends, f) }

// inFakeTime tells a story of a fleet whose server runs and whose services do
// not yet. Whatever it leaves running is stopped behind it.
func inFakeTime(t *testing.T, tell func(r *rig)) {
	t.Helper()
	dir := t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		clients, err := attest.OpenLocal(filepath.Join(dir, "clients"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{T: t, dir: dir, began: time.Now(), processes: make(map[string]*process), clients: clients}
		r.diary.began = r.began
		r.site = &site{dir: filepath.Join(dir, "jetstream"), log: r.diary.logger("server")}
		defer r.close()
		r.site.start(t)
		r.witness = attend(r)
		tell(r)
	})
}

// close ends everything and lets run out what the server and the client bound
// by time: the bubble's clock stands still once the test has returned.
func (r *rig) close() {
	for _, f := range r.ends {
		f()
	}
	for _, p := range r.processes {
		p.order()
	}
	for _, p := range r.processes {
		p.wait()
	}
	var seen []eventlog.Record
	if r.witness != nil {
		r.witness.close()
		seen = r.witness.log()
	}
	r.site.stop()
	if r.Failed() {
		r.Logf("what happened:\n%s\nthe log ends:\n%s", &r.diary, lines(seen[max(0, len(seen)-kept):]))
	}
	r.pass(time.Minute)
}

// pass lets fake time go by.
func (r *rig) pass(d time.Duration) { time.Sleep(d) }

// services are the names of two planners and two executors.
var services = []string{"planner-1", "planner-2", "executor-1", "executor-2"}

// services starts them.
func (r *rig) services() {
	for _, n := range []string{"1", "2"} {
		r.start("planner-"+n, r.planner)
		r.start("executor-"+n, r.executor)
	}
}

// nodes starts the agents of these nodes.
func (r *rig) nodes(ids ...fleet.NodeID) {
	for _, id := range ids {
		r.start(agentOf(id), r.agent(id))
	}
}

func agentOf(id fleet.NodeID) string { return "agent-" + string(id) }

// want puts an inventory of these nodes into force.
func (r *rig) want(d desired) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	generation, _, err := planner.Apply(ctx, r.witness.bus, r.witness.bus.Log(), r.witness.view, []byte(d.yaml()), "test", "", time.Now())
	if err != nil {
		r.Fatal(err)
	}
	r.desired = d
	r.diary.tell("inventory %d is of %s", generation, d)
}

// settled brings a strict fleet of these nodes up and waits until it converged.
func (r *rig) settled(ids ...fleet.NodeID) {
	r.Helper()
	r.services()
	r.nodes(ids...)
	r.want(desired{nodes: ids, strict: true})
	r.converge(time.Minute)
}

// inventory is the one last wanted.
func (r *rig) inventory() *fleet.Inventory {
	r.Helper()
	inv, report := inventory.Parse([]byte(r.desired.yaml()))
	if err := report.Err(); err != nil {
		r.Fatal(err)
	}
	return inv
}

// converge waits until nothing is left to do for the inventory last wanted, and
// says how long that took.
func (r *rig) converge(bound time.Duration) time.Duration {
	r.Helper()
	inv := r.inventory()
	digest := inventory.Digest([]byte(r.desired.yaml()))
	return r.await(bound, "the fleet to converge", func(s *projection.State) bool {
		return s.Inventory().Digest == digest && status.Converged(s, inv)
	})
}

// await waits for a condition of the fold and says how long that took. The
// fleet has exactly bound for it.
func (r *rig) await(bound time.Duration, what string, condition func(*projection.State) bool) time.Duration {
	r.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), bound)
	defer cancel()
	// A fold that is behind may show what was.
	for r.witness.view.CatchUp(ctx) != nil && ctx.Err() == nil {
		r.pass(10 * time.Millisecond)
	}
	if err := r.witness.view.Wait(ctx, condition); err != nil {
		r.Fatalf("waited %s for %s: %v; %s", bound, what, err, r.missing())
	}
	return time.Since(began)
}

// missing says what keeps the fleet from what was wanted of it.
func (r *rig) missing() (text string) {
	inv, _ := inventory.Parse([]byte(r.desired.yaml()))
	r.witness.view.Read(func(s *projection.State) { text = status.Of(s, inv, time.Now()).Missing() })
	return text
}

// mostExplained is of how many nodes and actions of a day the explanations are
// checked, which takes as many readings of the log.
const mostExplained = 40

// judge holds the whole log, read anew from the server, to its promises, and to
// what the witness saw of it while it grew: what was once there stays there.
func (r *rig) judge() []eventlog.Record {
	r.Helper()
	witnessed := r.witness.log() // before the log is read: it may have grown by then
	all := r.export()
	source, err := audit.NewLive(r.Context(), r.witness.bus.Log(), r.witness.bus.GetInventory)
	if err != nil {
		r.Fatal(err)
	}
	report, err := audit.Run(r.Context(), source, audit.Options{})
	if err != nil {
		r.Error(err)
	}
	for _, d := range report.Mismatches {
		r.Error(d)
	}
	inventories := view.NewInventories(r.witness.bus.GetInventory)
	wrong, err := explained.Check(all, r.witness.bus.Log().Subjects(), func(digest string) (*fleet.Inventory, error) {
		return inventories.Get(r.Context(), digest)
	}, time.Now(), mostExplained)
	if err != nil {
		r.Error(err)
	}
	for _, w := range wrong {
		r.Error(w)
	}
	for i, seen := range witnessed {
		if i >= len(all) || all[i].Event == nil || seen.Event == nil || all[i].Event.ID != seen.Event.ID {
			r.Errorf("sequence %d was on the log once, and is lost or another one now", seen.Sequence)
			break
		}
	}
	return all
}

// export reads the log from its first record.
func (r *rig) export() (all []eventlog.Record) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	for {
		some, err := r.witness.bus.Log().Read(ctx, uint64(len(all)), 500)
		if err != nil {
			r.Fatal(err)
		}
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
	}
}
