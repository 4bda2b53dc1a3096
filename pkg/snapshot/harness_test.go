package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

func TestMain(m *testing.M) { leak.Main(m) }

// newBus is a fleet on a server of its own.
func newBus(t *testing.T) *eventlog.Bus {
	t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	bus, err := eventlog.Connect(t.Context(), eventlog.Options{InProcess: server, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	if err := bus.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bus
}

func appeared(n int, session string) *events.Event {
	id := fleet.NodeID(fmt.Sprintf("n%d", n))
	return &events.Event{
		ID: events.NewID("appeared", string(id), session), Source: events.SourcePlanner, Type: events.TypeNodeAppeared, Node: id, Time: noon,
		Data: &events.NodeAppeared{Epoch: 1, Session: session, KeyFingerprint: "sha256:" + strings.Repeat("0", 64)},
	}
}

// add appends so many nodes of a session.
func add(t *testing.T, log eventlog.Log, nodes int, session string) {
	t.Helper()
	var batch []eventlog.Entry
	for n := range nodes {
		batch = append(batch, eventlog.Entry{Event: appeared(n, session)})
	}
	if _, err := log.Append(t.Context(), batch...); err != nil {
		t.Fatal(err)
	}
}

// folded is the fold of the log up to a sequence.
func folded(t *testing.T, log eventlog.Log, seq uint64) (*projection.State, snapshot.Mark) {
	t.Helper()
	records, err := log.Read(t.Context(), 0, int(seq))
	if err != nil || uint64(len(records)) != seq {
		t.Fatalf("read %d records: %v", len(records), err)
	}
	s := projection.New()
	for _, r := range records {
		if _, err := snapshot.Fold(s, log.Subjects(), r); err != nil {
			t.Fatal(err)
		}
	}
	return s, snapshot.MarkOf(records[seq-1])
}

// file is a snapshot of the log up to a sequence.
func file(t *testing.T, log eventlog.Log, seq uint64) []byte {
	t.Helper()
	s, mark := folded(t, log, seq)
	return encoded(t, s.Still(), mark)
}

func encoded(t *testing.T, img *projection.Still, mark snapshot.Mark) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := snapshot.Encode(&b, img, mark); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t *testing.T, bus *eventlog.Bus, seq uint64, content []byte) {
	t.Helper()
	if _, err := bus.PutSnapshot(t.Context(), seq, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

// another is the same file with other bytes at a place.
func another(content []byte, at int, bytes ...byte) []byte {
	content = slices.Clone(content)
	copy(content[at:], bytes)
	return content
}

// patience bounds what a test waits for.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
