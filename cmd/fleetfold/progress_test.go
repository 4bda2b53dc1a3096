package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
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
