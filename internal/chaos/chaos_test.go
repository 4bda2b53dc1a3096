//go:build unix

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/explained"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// A fleet of real processes under a seeded schedule of kills, stops, restarts
// and edits keeps its promises and converges.
func TestTheFleetSurvivesChaos(t *testing.T) {
	survive(t, trialOf(t, int(number(t, "CHAOS_SERVERS", 1))))
}

// So it does on a cluster that loses the leader of the log.
func TestTheFleetSurvivesTheLossOfAServer(t *testing.T) {
	survive(t, trialOf(t, 3))
}

func survive(t *testing.T, p trial) {
	f := newFleet(t, p)
	steps := schedule(p.seed, p.length, victimsOf(f.nodes, f.servers))
	for _, s := range steps {
		f.perform(s)
	}
	last := steps[len(steps)-1].world
	calm := time.Now()
	f.calm(last)
	bus := f.connect()
	f.awaitConverged(bus, last)
	t.Logf("converged %s after the last step", time.Since(calm).Round(time.Millisecond))
	f.judge(bus)
	f.judgeSnapshots(bus)
}

// chaosFleet is all processes of one run.
type chaosFleet struct {
	t              *testing.T
	trial          trial
	dir, url       string
	nodes, servers []string
	processes      map[string]*process
	story          *story
	// watcher asks the servers what no other process is asked for.
	watcher   *eventlog.Bus
	registers *registers
	// wild is when the schedule began.
	wild time.Time
}

func newFleet(t *testing.T, p trial) *chaosFleet {
	f := &chaosFleet{
		t: t, trial: p, dir: t.ArtifactDir(), processes: make(map[string]*process), story: &story{began: time.Now()},
	}
	// Registered first, so that it runs when every process has ended.
	t.Cleanup(f.tellOnFailure)
	for i := range p.nodes {
		f.nodes = append(f.nodes, fmt.Sprintf("n%d", i+1))
	}
	f.write(desired{nodes: f.nodes, strict: true})
	f.startServers(p.servers)
	f.watcher = f.connect() // the services would only end and be started again
	if err := f.watcher.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.staffServices()
	f.registers = f.writeRegisters()
	f.wild = time.Now()
	return f
}

func (f *chaosFleet) staffServices() {
	lease := f.trial.lease.String()
	clients, err := attest.OpenLocal(f.file("clients"), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	replicas := fmt.Sprint(len(f.servers))
	for _, i := range []string{"1", "2"} {
		f.keep("planner-"+i, "planner", "--nats", f.url, "--inventory", f.file("fleet.yaml"), "--lease", lease,
			"--backoff-base", "200ms", "--backoff-cap", "2s", "--replicas", replicas,
			"--snapshot-every", snapshotEvery,
			// Nobody is here to approve a removal of many nodes.
			"--removal-min", fmt.Sprint(len(f.nodes)))
		// One issuer for both, as the command asks for.
		f.keep("executor-"+i, "executor", "--nats", f.url, "--dir", f.file("issuer"), "--enroll-timeout", "5s",
			"--replicas", replicas, "--attest-ca", clients.File)
	}
	f.keep("writer", "chaos-writer", f.url, f.file("acknowledged.jsonl"))
	for _, id := range f.nodes {
		if err := clients.Equip(fleet.NodeID(id), f.file("node-"+id)); err != nil {
			f.t.Fatal(err)
		}
		f.keep("agent-"+id, "node-agent", "--nats", f.url, "--id", id, "--dir", f.file("node-"+id), "--lease", lease)
	}
	for _, p := range f.processes {
		p.want(true)
	}
}

func (f *chaosFleet) file(name string) string { return filepath.Join(f.dir, name) }

func (f *chaosFleet) keep(name string, args ...string) *process {
	p := keep(f.t, f.story, name, f.file(name+".log"), args...)
	f.processes[name] = p
	return p
}

// perform waits for the step's time and does what it says.
func (f *chaosFleet) perform(s step) {
	timer := time.NewTimer(time.Until(f.wild.Add(s.at)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.t.Context().Done():
		return
	}
	f.story.tell("%s", s)
	if s.do == edit {
		f.write(s.world)
		f.staff(s.world)
		return
	}
	for _, who := range f.victimsFor(s.who) {
		switch p := f.processes[who]; s.do {
		case kill:
			p.kill(s.pause)
		case halt:
			p.stop(s.pause)
		case term:
			p.term()
		}
	}
}

// write replaces the inventory as a careful editor does.
func (f *chaosFleet) write(d desired) {
	f.t.Helper()
	fresh := f.file("fleet.yaml.new")
	if err := os.WriteFile(fresh, []byte(d.yaml()), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(fresh, f.file("fleet.yaml")); err != nil {
		f.t.Fatal(err)
	}
}

// staff brings the agents of desired nodes up. Those of others run on, until
// the fleet tells them to stop, and are not started again.
func (f *chaosFleet) staff(d desired) {
	wanted := make(map[string]bool)
	for _, id := range d.nodes {
		wanted[id] = true
	}
	for _, id := range f.nodes {
		f.processes["agent-"+id].want(wanted[id])
	}
}

// calm ends the mischief: whatever is stopped goes on, whatever ended starts.
func (f *chaosFleet) calm(last desired) {
	f.story.tell("calm")
	for _, p := range f.processes {
		p.cont()
	}
	f.staff(last)
}

// connect waits for the server.
func (f *chaosFleet) connect() *eventlog.Bus {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		bus, err := eventlog.Connect(ctx, eventlog.Options{URL: f.url, Name: "chaos"})
		if err == nil {
			f.t.Cleanup(bus.Close)
			return bus
		}
		select {
		case <-ctx.Done():
			f.t.Fatalf("the server did not come up: %v\n%s", err, tail(f.file(f.servers[0]+".log"), 20))
		case <-ticker.C:
		}
	}
}

// awaitConverged waits until the last inventory is in force and nothing is left
// to do for it, as 'fleetfold wait --for converged' does.
func (f *chaosFleet) awaitConverged(bus *eventlog.Bus, last desired) {
	f.t.Helper()
	text := []byte(last.yaml())
	inv, report := inventory.Parse(text)
	if err := report.Err(); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), f.trial.quiet)
	defer cancel()
	v := view.New(bus.Log())
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	go func() { ended <- v.Run(ctx) }()
	var now status.Status
	err := v.CatchUp(ctx) // a fleet that was there once, under the same inventory, may have left
	if err == nil {
		err = v.Wait(ctx, func(s *projection.State) bool {
			now = status.Of(s, inv, time.Now())
			return now.Inventory.Digest == inventory.Digest(text) && now.Converged
		})
	}
	stop()
	if runErr := <-ended; err != nil {
		f.t.Errorf("the fleet did not converge: %v, %v; it is %+v", err, runErr, now)
		return
	}
	f.story.tell("converged at sequence %d", now.Sequence)
}

// judge holds the whole log to its promises.
func (f *chaosFleet) judge(bus *eventlog.Bus) {
	f.t.Helper()
	// They would go on beyond what is exported.
	f.processes["writer"].end()
	attempts := f.registers.end()
	acknowledged := notes(f.t, f.file("acknowledged.jsonl"))
	records := f.export(bus)
	source, err := audit.NewLive(f.t.Context(), bus.Log(), bus.GetInventory)
	if err != nil {
		f.t.Fatal(err)
	}
	report, err := audit.Run(f.t.Context(), source, audit.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, d := range report.Mismatches {
		f.t.Error(d)
	}
	inventories := view.NewInventories(bus.GetInventory)
	wrong, err := explained.Check(records, bus.Log().Subjects(), func(digest string) (*fleet.Inventory, error) {
		return inventories.Get(f.t.Context(), digest)
	}, time.Now(), 20)
	if err != nil {
		f.t.Error(err)
	}
	for _, w := range wrong {
		f.t.Error(w)
	}
	counts := make(map[string]int)
	for _, r := range records {
		if r.Event == nil {
			f.t.Errorf("sequence %d on %s is no event: %v", r.Sequence, r.Message.Subject, r.Err)
			continue
		}
		counts[string(r.Event.Type)]++
	}
	for _, problem := range lost(acknowledged, records) {
		f.t.Error(problem)
	}
	if len(acknowledged) == 0 {
		f.t.Error("the bystander appended nothing: the run proves nothing of its appends")
	}
	f.judgeRegisters(attempts, records)
	f.t.Logf("%d records, %d of them acknowledged to the bystander; %v", len(records), len(acknowledged), counts)
}

// export reads the log from its first record, and keeps it as a file for whoever
// looks into a failure.
func (f *chaosFleet) export(bus *eventlog.Bus) []eventlog.Record {
	f.t.Helper()
	const page = 500
	var all []eventlog.Record
	var text strings.Builder
	for {
		records, err := bus.Log().Read(f.t.Context(), uint64(len(all)), page)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			fmt.Fprintln(&text, logline.Text(r))
		}
		all = append(all, records...)
	}
	if err := os.WriteFile(f.file("log.txt"), []byte(text.String()), 0o600); err != nil {
		f.t.Error(err)
	}
	return all
}

// tellOnFailure prints what it takes to understand a failure.
func (f *chaosFleet) tellOnFailure() {
	if !f.t.Failed() {
		return
	}
	f.t.Logf("the story:\n%s", f.story)
	for _, name := range slices.Concat(f.servers, []string{"planner-1", "planner-2", "executor-1", "executor-2"}) {
		f.t.Logf("the log of %s ends:\n%s", name, tail(f.file(name+".log"), 25))
	}
	if text, err := os.ReadFile(f.file("log.txt")); err == nil {
		f.t.Logf("the log of the fleet, without the bystander:\n%s", without(string(text), "bystander", "by chaos", "register-"))
	}
}

func without(text string, words ...string) string {
	var kept []string
lines:
	for line := range strings.Lines(text) {
		for _, w := range words {
			if strings.Contains(line, w) {
				continue lines
			}
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "")
}
