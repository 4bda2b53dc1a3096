package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// divided is a fleet of two regions on a real server, with planners of two shards,
// of which east is the rest, and one executor; all are processes of their own.
type divided struct {
	*besides
	east, west *exec.Cmd
	listen     map[string]string // of the planners, by shard
}

const twoRegions = `trust_domain: fleet.example
regions:
  - name: ams
    nodes:
%s  - name: nyc
    nodes:
%squorum: {width: 1}
enforcement: {require_sig: true}
`

func nodeLines(ids []string) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(strings.Replace(nodeLine, "%", id, 1))
	}
	return b.String()
}

const shardsFile = `rest: east
shards:
  - name: east
    regions: [ams]
  - name: west
    regions: [nyc]
`

func startDivided(t *testing.T) *divided {
	t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	dir := t.TempDir()
	d := &divided{listen: make(map[string]string), besides: &besides{
		t: t, server: "--nats=" + server.URL(), prefix: "--prefix=fleet", dir: dir, file: filepath.Join(dir, "fleet.yaml"),
	}}
	d.east, d.west = d.planOf("east"), d.planOf("west")
	d.saysItDecidesNothing("west", `the fleet is one, and this planner is of shard "west"`)
	d.divide(shardsFile)
	process(t, "executor", d.server, d.prefix, "--driver", "local", "--dir", filepath.Join(dir, "executor"))
	return d
}

func (d *divided) planOf(shard string) *exec.Cmd {
	d.t.Helper()
	if d.listen[shard] == "" {
		d.listen[shard] = fmt.Sprintf("127.0.0.1:%d", port.Hold(d.t))
	}
	return process(d.t, "planner", d.server, d.prefix, "--shard", shard, "--listen", d.listen[shard])
}

func (d *divided) divide(text string) {
	d.t.Helper()
	file := filepath.Join(d.dir, "shards.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.run("partition", "apply", file)
}

func (d *divided) desire(ams, nyc []string) {
	d.t.Helper()
	text := fmt.Sprintf(twoRegions, nodeLines(ams), nodeLines(nyc))
	if err := os.WriteFile(d.file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.run("apply", d.file, "--yes")
}

// saysItDecidesNothing waits until the planner of a shard is not ready for a reason.
func (d *divided) saysItDecidesNothing(shard, why string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	said := ""
	for tick := time.Tick(50 * time.Millisecond); ; {
		if text, ok := d.readyz(ctx, shard); ok && strings.Contains(text, why) {
			return
		} else if ok {
			said = text
		}
		select {
		case <-tick:
		case <-ctx.Done():
			d.t.Fatalf("the planner of %s does not say %q but %q", shard, why, said)
		}
	}
}

func (d *divided) readyz(ctx context.Context, shard string) (text string, answered bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.listen[shard]+"/readyz", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err == nil && response.StatusCode == http.StatusServiceUnavailable
}

func (d *divided) kill(planner *exec.Cmd) {
	d.t.Helper()
	if err := planner.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	_ = planner.Wait() // "signal: killed" is what we asked for
}

// records are all of the log.
func (d *divided) records() (all []eventlog.Record) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	bus, err := eventlog.Connect(ctx, eventlog.Options{URL: strings.TrimPrefix(d.server, "--nats="), Name: "test"})
	if err != nil {
		d.t.Fatal(err)
	}
	defer bus.Close()
	for after := uint64(0); ; {
		page, err := bus.Log().Read(ctx, after, 500)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all, after = append(all, page...), page[len(page)-1].Sequence
	}
}

// eachOnce holds the log against what planners that share a fleet promise: plans
// stand on the subject of their shard, no need was met twice, and what counts was
// published by who had it.
func (d *divided) eachOnce(owner func(seq uint64, id fleet.NodeID) string) {
	d.t.Helper()
	state, done := projection.New(), make(map[fleet.Action]int)
	flights := make(map[fleet.ActionID]projection.Flight)
	for _, r := range d.records() {
		if _, err := state.Apply(r.Sequence, r.Time, r.Event); err != nil {
			d.t.Fatal(err)
		}
		switch e := r.Event.Data.(type) {
		case *events.PlanDecided:
			if want := "fleet.events.plan." + e.Shard; r.Message.Subject != want {
				d.t.Errorf("sequence %d: a plan of shard %q stands on %s", r.Sequence, e.Shard, r.Message.Subject)
			}
		case *events.ActionRequested:
			f, counts := state.Ledger().Flight(e.Action)
			if !counts || f.Sequence != r.Sequence {
				continue // of a plan that lost its race with a partition or an inventory
			}
			flights[e.Action] = f
			if want := owner(r.Sequence, e.ID); f.Shard != want {
				d.t.Errorf("sequence %d: %s of %q by shard %q, and it is %q's", r.Sequence, e.Type, e.ID, f.Shard, want)
			}
		case *events.ActionSucceeded:
			if f := flights[e.Action]; f.ID != "" {
				done[f.Action]++
			}
		}
	}
	for need, n := range done {
		if n != 1 {
			d.t.Errorf("%s of %q was done %d times", need.Type, need.ID, n)
		}
	}
}

func (d *divided) clean() {
	d.t.Helper()
	var report struct {
		Plans           int
		MismatchesTotal int `json:"mismatches_total"`
	}
	text := d.run("audit", "-o", "json")
	if err := json.Unmarshal([]byte(text), &report); err != nil || report.Plans == 0 || report.MismatchesTotal != 0 {
		d.t.Errorf("the audit of a fleet that is divided: %v\n%s", err, text)
	}
}

// ids are node ids of a region, from one number up to another.
func ids(region string, from, to int) (list []string) {
	for n := from; n <= to; n++ {
		list = append(list, fmt.Sprintf("%s-%d", region, n))
	}
	return list
}

// Two regions, each with planners of its own: they become strict as one, and a
// region whose planner is dead keeps nobody else waiting.
func TestPlannersShareAFleet(t *testing.T) {
	d := startDivided(t)
	d.desire(ids("ams", 1, 3), ids("nyc", 1, 3))
	d.run("wait", "--for", "strict", "--timeout", "50s")
	d.run("wait", "--for", "converged", "--timeout", "50s")
	d.eachOnce(func(_ uint64, id fleet.NodeID) string {
		if strings.HasPrefix(string(id), "nyc") {
			return "west"
		}
		return "east"
	})

	d.kill(d.west)
	d.desire(ids("ams", 1, 5), ids("nyc", 1, 5))
	for _, id := range ids("ams", 4, 5) {
		d.run("wait", "--for", "node="+id, "--timeout", "50s")
	}
	if log := d.run("log"); strings.Contains(log, "nyc-4") {
		t.Errorf("somebody decided for the region whose planner is dead:\n%s", log)
	}
	d.west = d.planOf("west")
	d.run("wait", "--for", "converged", "--timeout", "50s")
	if status := d.run("status"); !strings.Contains(status, "shards       east (the rest) 0 in flight, west 0 in flight") {
		t.Errorf("the status does not say who decides:\n%s", status)
	}
	if plans := d.run("get", "plans", "-o", "wide", "-n", "0"); !strings.Contains(plans, "east") || !strings.Contains(plans, "west") {
		t.Errorf("the plans of both shards are not listed:\n%s", plans)
	}
	d.clean()
}

// The fleet is divided in another way again and again while it rises, so that
// plans lose their races with partitions and nodes change hands with actions in
// flight.
func TestAPartitionChangesWhileActionsAreInFlight(t *testing.T) {
	d := startDivided(t)
	d.desire(ids("ams", 1, 6), ids("nyc", 1, 6))
	swapped := strings.NewReplacer("ams", "nyc", "nyc", "ams").Replace(shardsFile)
	for turn := range 6 {
		d.divide([]string{swapped, shardsFile}[turn%2])
	}
	d.run("wait", "--for", "strict", "--timeout", "50s")
	d.run("wait", "--for", "converged", "--timeout", "50s")
	owner := d.owners()
	d.eachOnce(owner)
	d.clean()

	d.run("partition", "clear")
	d.saysItDecidesNothing("east", `the fleet is one, and this planner is of shard "east"`)
	whole := process(t, "planner", d.server, d.prefix)
	d.desire(ids("ams", 1, 6), ids("nyc", 1, 5))
	d.run("wait", "--for", "converged", "--timeout", "50s")
	if whole.ProcessState != nil {
		t.Error("the planner of the whole fleet has ended")
	}
	if nodes := d.run("get", "nodes"); strings.Contains(nodes, "nyc-6") {
		t.Errorf("nobody decommissioned what is desired no more:\n%s", nodes)
	}
	d.clean()
}

// owners says who has a node at a sequence, from the partitions on the log.
func (d *divided) owners() func(uint64, fleet.NodeID) string {
	var at []uint64
	var of []func(string) string
	for _, r := range d.records() {
		if p, ok := r.Event.Data.(*events.PartitionApplied); ok {
			at, of = append(at, r.Sequence), append(of, p.Owners())
		}
	}
	return func(seq uint64, id fleet.NodeID) string {
		owner := ""
		region, _, _ := strings.Cut(string(id), "-")
		for i := range at {
			if at[i] < seq {
				owner = of[i](region)
			}
		}
		return owner
	}
}

// What a person gets wrong changes nothing, and is said with what to do next.
func TestAPartitionThatCannotBeIsRefused(t *testing.T) {
	d := startDivided(t)
	before := d.run("partition", "get", "-o", "json")
	for text, want := range map[string]string{
		"":                             "it is empty",
		"rest: a\nshards: []\n":        `rest is "a", and there are no shards`,
		"rest: a\nshards: [{name: a}]": "there are 1 shards",
		"rest: a\nshard: []\n":         "line 2: field shard not found",
		shardsFile + "---\n":           "more than one document",
		strings.Replace(shardsFile, "rest: east", "rest: south", 1): `rest is "south"`,
	} {
		cmd := fleetfold(t.Context(), "partition", "apply", "-", d.server, d.prefix)
		cmd.Stdin = strings.NewReader(text)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Run(); err == nil || !strings.Contains(said.String(), want) {
			t.Errorf("%q: %v, said %q, want %q", text, err, said.String(), want)
		}
	}
	if again := d.run("partition", "apply", filepath.Join(d.dir, "shards.yaml")); !strings.Contains(again, "in force already") {
		t.Errorf("the same partition once more: %s", again)
	}
	if after := d.run("partition", "get", "-o", "json"); after != before || !strings.Contains(before, `"rest": "east"`) {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
}
