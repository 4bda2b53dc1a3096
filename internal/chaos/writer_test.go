//go:build unix

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// writePause keeps the bystander from being most of the load.
const writePause = 40 * time.Millisecond

// noted is one append that the log acknowledged, as the bystander wrote it down.
type noted struct {
	Sequence uint64 `json:"seq"`
	ID       string `json:"id"`
	// Fence is the last sequence on the subject, on which the append depended.
	Fence uint64 `json:"fence"`
}

// write is the program chaos-writer URL FILE: a bystander who appends facts that
// change nothing, each fenced on its subject, and writes down what was
// acknowledged. A file that is written to needs no sync to outlive kill -9.
func write(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	file, err := os.OpenFile(args[1], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	bus, err := eventlog.Connect(ctx, eventlog.Options{URL: args[0], Name: "chaos-writer"})
	if err != nil {
		return err
	}
	defer bus.Close()
	w := writer{log: bus.Log(), to: file, session: fmt.Sprint(os.Getpid(), time.Now().UnixNano())}
	ticker := time.NewTicker(writePause)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := w.append(ctx, n); err != nil {
			return err
		}
	}
}

type writer struct {
	log     eventlog.Log
	to      *os.File
	session string
}

// append writes down what it knows to be stored. What it does not know of, it
// does not repeat.
func (w *writer) append(ctx context.Context, n int) error {
	e := w.fact(n)
	subject, err := w.log.Subjects().Of(e)
	if err != nil {
		return err
	}
	// A connection that just broke may not know it yet.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	last, err := w.log.LastOn(ctx, subject)
	if err != nil || last == 0 && e.Type == events.TypeInventoryApplied {
		return nil // the server is away, or there is no first inventory to be older than
	}
	seq, err := w.log.Append(ctx, eventlog.Entry{Event: e, Fence: eventlog.LastOnSubject(last)})
	if err != nil {
		return nil
	}
	line, err := json.Marshal(noted{seq, e.ID, last})
	if err != nil {
		return err
	}
	_, err = w.to.Write(append(line, '\n'))
	return err
}

// fact counts for nothing in any fold: an inventory of the first generation,
// on a subject that the planners write too, or the loss of a node that never was.
func (w *writer) fact(n int) *events.Event {
	e := &events.Event{
		ID: events.NewID("chaos", w.session, fmt.Sprint(n)), Source: events.SourceOperator, Time: time.Now(),
		Type: events.TypeNodeLost, Node: "bystander", Data: &events.NodeLost{Epoch: 1, Reason: "no_lease"},
	}
	if n%4 == 0 {
		e.Type, e.Node = events.TypeInventoryApplied, ""
		e.Data = &events.InventoryApplied{
			Digest: "sha256:" + strings.Repeat("0", 64), Generation: 1, Actor: "chaos", Note: "older than what is in force",
		}
	}
	return e
}

// notes reads what the bystander wrote down over all its lives.
func notes(t *testing.T, path string) []noted {
	t.Helper()
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []noted
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var n noted
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			t.Fatalf("read %q: %v", lines.Text(), err)
		}
		all = append(all, n)
	}
	return all
}

// lost holds the notes against the log: each must be there, and nothing between
// it and the record that its fence names. Sequences are checked to have no gaps
// before.
func lost(all []noted, records []eventlog.Record) (problems []string) {
	before := make([]uint64, len(records)) // the last sequence on the same subject
	last := make(map[string]uint64)
	for i, r := range records {
		before[i] = last[r.Message.Subject]
		last[r.Message.Subject] = r.Sequence
	}
	for _, n := range all {
		at := n.Sequence - 1
		switch {
		case at >= uint64(len(records)):
			problems = append(problems, fmt.Sprintf("sequence %d was acknowledged, and the log ends at %d", n.Sequence, len(records)))
		case records[at].Event == nil || records[at].Event.ID != n.ID:
			problems = append(problems, fmt.Sprintf("sequence %d was acknowledged for event %s, and is another one", n.Sequence, n.ID))
		case before[at] != n.Fence:
			problems = append(problems, fmt.Sprintf("sequence %d was fenced on %d, and follows %d on its subject", n.Sequence, n.Fence, before[at]))
		}
	}
	return problems
}

func TestLostAppendsAreFound(t *testing.T) {
	record := func(seq uint64, subject, id string) eventlog.Record {
		return eventlog.Record{Sequence: seq, Message: events.Message{Subject: subject}, Event: &events.Event{ID: id}}
	}
	log := []eventlog.Record{record(1, "a", "1"), record(2, "b", "2"), record(3, "a", "3")}
	if found := lost([]noted{{1, "1", 0}, {2, "2", 0}, {3, "3", 1}}, log); len(found) > 0 {
		t.Errorf("found %q in a whole log", found)
	}
	if found := lost([]noted{{3, "3", 0}, {2, "1", 0}, {4, "4", 3}}, log); len(found) != 3 {
		t.Errorf("found %q, want a fence that leaked, another event and a lost one", found)
	}
}
