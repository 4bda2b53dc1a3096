//go:build unix

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/history"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// lease is short, so that a killed agent is soon lost.
const lease = "2s"

// quietBound is how long the fleet may take to converge once everything runs.
// An action that was in the hands of a killed executor is handed out again
// after 5 s, and may have to wait for the one before it.
const quietBound = 60 * time.Second

// A fleet of real processes under a seeded schedule of kills, stops, restarts
// and edits keeps its promises and converges.
func TestTheFleetSurvivesChaos(t *testing.T) {
	seed := number(t, "CHAOS_SEED", 1)
	if os.Getenv("CHAOS_SEED") == "random" {
		seed = rand.Uint64N(1_000_000)
	}
	length := time.Duration(number(t, "CHAOS_SECONDS", 6)) * time.Second
	nodes := number(t, "CHAOS_NODES", 6)
	t.Logf("CHAOS_SEED=%d CHAOS_SECONDS=%.0f CHAOS_NODES=%d", seed, length.Seconds(), nodes)

	f := newFleet(t, int(nodes))
	steps := schedule(seed, length, victimsOf(f.nodes))
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

func number(t *testing.T, env string, otherwise uint64) uint64 {
	t.Helper()
	value := os.Getenv(env)
	if value == "" || value == "random" {
		return otherwise
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("%s is %q, must be a number above 0", env, value)
	}
	return n
}

// chaosFleet is all processes of one run.
type chaosFleet struct {
	t         *testing.T
	dir, url  string
	nodes     []string
	processes map[string]*process
	story     *story
}

func newFleet(t *testing.T, n int) *chaosFleet {
	f := &chaosFleet{
		t: t, dir: t.ArtifactDir(), processes: make(map[string]*process), story: &story{began: time.Now()},
	}
	// Registered first, so that it runs when every process has ended.
	t.Cleanup(f.tellOnFailure)
	port := freePort(t)
	f.url = "nats://127.0.0.1:" + port
	for i := range n {
		f.nodes = append(f.nodes, fmt.Sprintf("n%d", i+1))
	}
	f.write(desired{nodes: f.nodes, strict: true})
	f.keep("server", "chaos-server", filepath.Join(f.dir, "streams"), port).want(true)
	f.connect().Close() // the services would only end and be started again
	for _, i := range []string{"1", "2"} {
		f.keep("planner-"+i, "planner", "--nats", f.url, "--inventory", f.file("fleet.yaml"), "--lease", lease,
			"--backoff-base", "200ms", "--backoff-cap", "2s", "--snapshot-every", snapshotEvery)
		// One issuer for both, as the command asks for.
		f.keep("executor-"+i, "executor", "--nats", f.url, "--dir", f.file("issuer"), "--enroll-timeout", "5s")
	}
	f.keep("writer", "chaos-writer", f.url, f.file("acknowledged.jsonl"))
	for _, id := range f.nodes {
		f.keep("agent-"+id, "node-agent", "--nats", f.url, "--id", id, "--dir", f.file("node-"+id), "--lease", lease)
	}
	for _, p := range f.processes {
		p.want(true)
	}
	return f
}

func (f *chaosFleet) file(name string) string { return filepath.Join(f.dir, name) }

func (f *chaosFleet) keep(name string, args ...string) *process {
	p := keep(f.t, f.story, name, f.file(name+".log"), args...)
	f.processes[name] = p
	return p
}

// freePort is one that the server can take again after each restart.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// perform waits for the step's time and does what it says.
func (f *chaosFleet) perform(s step) {
	timer := time.NewTimer(time.Until(f.story.began.Add(s.at)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.t.Context().Done():
		return
	}
	f.story.tell("%s", s)
	switch s.do {
	case kill:
		f.processes[s.who].kill(s.pause)
	case halt:
		f.processes[s.who].stop(s.pause)
	case term:
		f.processes[s.who].term()
	case edit:
		f.write(s.world)
		f.staff(s.world)
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
			f.t.Fatalf("the server did not come up: %v\n%s", err, tail(f.file("server.log"), 20))
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
	ctx, cancel := context.WithTimeout(f.t.Context(), quietBound)
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
	f.processes["writer"].end() // it would go on beyond what is exported
	acknowledged := notes(f.t, f.file("acknowledged.jsonl"))
	records := f.export(bus)
	inventories := view.NewInventories(bus.GetInventory)
	for _, v := range history.Check(records, func(digest string) (*fleet.Inventory, error) {
		return inventories.Get(f.t.Context(), digest)
	}) {
		f.t.Error(v)
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
	for _, name := range []string{"server", "planner-1", "planner-2", "executor-1", "executor-2"} {
		f.t.Logf("the log of %s ends:\n%s", name, tail(f.file(name+".log"), 25))
	}
	if text, err := os.ReadFile(f.file("log.txt")); err == nil {
		f.t.Logf("the log of the fleet, without the bystander:\n%s", without(string(text), "bystander", "by chaos"))
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
