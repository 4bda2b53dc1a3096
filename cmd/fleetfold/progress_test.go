package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func lost(node fleet.NodeID) eventlog.Entry {
	return eventlog.Entry{Event: &events.Event{
		ID: "lost-" + string(node), Source: events.SourcePlanner, Type: events.TypeNodeLost, Node: node, Time: time.Now(),
		Data: &events.NodeLost{Epoch: 1, Reason: "lease_expired"},
	}}
}

// Readers of the fold wait while a hook runs: a screen that waited for a pipe
// would stop planner and executor.
func TestAReaderThatSleepsDoesNotStopTheFleet(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, in := io.Pipe() // without any buffer: the first write waits
	s := newScreen(in, io.Discard, true)
	log := eventlog.NewMemory(events.DefaultSubjects(), time.Now)
	v := view.New(log)
	v.OnRecord(s.record)
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- v.Run(running) }()

	const records = 100
	for i := range records {
		if _, err := log.Append(ctx, lost(fleet.NodeID(fmt.Sprintf("node-%d", i)))); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp := v.CatchUp(ctx)
	if caughtUp != nil {
		t.Errorf("with a reader that sleeps: %v", caughtUp)
	}

	// And nothing is lost to it when it wakes.
	closed := make(chan error, 1)
	go func() {
		closed <- s.close()
		_ = in.Close()
	}()
	lines := bufio.NewScanner(out)
	var seq uint64
	for lines.Scan() {
		var line struct{ Seq uint64 }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Seq != seq+1 {
			t.Fatalf("after sequence %d comes %s, %v", seq, lines.Bytes(), err)
		}
		seq = line.Seq
	}
	if seq != records {
		t.Errorf("%d lines were written, want %d", seq, records)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// shownOf is what a person sees of those events.
func shownOf(t *testing.T, inv *fleet.Inventory, es ...*events.Event) []string {
	t.Helper()
	var out bytes.Buffer
	s := newScreen(&out, io.Discard, false)
	s.desire(inv)
	for i, e := range es {
		s.record(eventlog.Record{Sequence: uint64(i + 1), Time: time.Now(), Event: e}, projection.Change{})
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func inventoryOf(ids ...fleet.NodeID) *fleet.Inventory {
	inv := &fleet.Inventory{Regions: []fleet.Region{{Name: "nyc"}}}
	for _, id := range ids {
		inv.Regions[0].Nodes = append(inv.Regions[0].Nodes, fleet.Node{ID: id})
	}
	return inv
}

func appeared(node fleet.NodeID) *events.Event {
	return &events.Event{Type: events.TypeNodeAppeared, Node: node, Data: &events.NodeAppeared{Epoch: 1}}
}

func succeeded(kind fleet.ActionType, node fleet.NodeID) *events.Event {
	return &events.Event{Type: events.TypeActionSucceeded, Node: node, Data: &events.ActionSucceeded{Type: kind, ID: node, DurationMS: 158}}
}

func TestLinesFitATerminalAndStandBelowEachOther(t *testing.T) {
	long := fleet.NodeID(strings.Repeat("x", 60))
	for does, c := range map[string]struct {
		node  fleet.NodeID
		shown string
		most  int
	}{
		"a short id":             {"region/nyc/node-1", "region/nyc/node-1", 80},
		"an id that is too long": {long, string(long[:39]) + "…", 120},
	} {
		lines := shownOf(t, inventoryOf("a", c.node), appeared("a"), appeared(c.node), succeeded(fleet.EnrollNode, c.node))
		ends := []string{"1/2 present, 0 signing", "2/2 present, 0 signing", "158ms"}
		for i, line := range lines {
			head, found := strings.CutSuffix(line, "  "+ends[i])
			if n := utf8.RuneCountInString(line); !found || n > c.most || i > 0 && !strings.HasSuffix(head, " "+c.shown) {
				t.Errorf("%s: %d columns: %q", does, n, line)
			}
			if i > 0 && utf8.RuneCountInString(head) != utf8.RuneCountInString(strings.TrimSuffix(lines[0], "  "+ends[0])) {
				t.Errorf("%s: not aligned: %q", does, line)
			}
		}
	}
}

func TestANodeOfNoInventoryIsShown(t *testing.T) {
	lines := shownOf(t, inventoryOf(), succeeded(fleet.DecommissionNode, "gone"))
	if len(lines) != 1 || !strings.HasSuffix(lines[0], "DecommissionNode         gone  158ms") {
		t.Errorf("shown: %q", lines)
	}
}

func TestADeadAgentIsToldWithItsTime(t *testing.T) {
	var problems bytes.Buffer
	s := newScreen(io.Discard, &problems, false)
	s.agentExit("a", 7, errors.New("signal: killed"))
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if got := problems.String(); !strings.Contains(got, "0.00s · agent of a (pid 7) died: signal: killed\n") {
		t.Errorf("told as %q", got)
	}
}

// What a snapshot holds is counted although its records are never shown.
func TestAScreenCountsWhatASnapshotHolds(t *testing.T) {
	key := "sha256:" + strings.Repeat("0", 64)
	appeared := func(id fleet.NodeID) *events.Event {
		return &events.Event{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: key}}
	}
	st := projection.New()
	for _, e := range []*events.Event{
		appeared("a"), appeared("b"),
		{Type: events.TypeCredentialIssued, Node: "a", Data: &events.CredentialIssued{Epoch: 1, Serial: "a1", Nonce: "x", KeyFingerprint: key}},
		{Type: events.TypeCredentialProved, Node: "a", Data: &events.CredentialProved{Epoch: 1, Serial: "a1", Nonce: "x"}},
		{Type: events.TypeNodeLost, Node: "b", Data: &events.NodeLost{Epoch: 1}},
	} {
		if _, err := st.Apply(st.Sequence()+1, time.Now(), e); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	s := newScreen(&out, io.Discard, false)
	s.resume(st)
	s.record(eventlog.Record{Sequence: 6, Time: time.Now().Add(time.Second), Event: appeared("c")}, projection.Change{})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "2/0 present, 1 signing") {
		t.Errorf("got %q", out.String())
	}
}
