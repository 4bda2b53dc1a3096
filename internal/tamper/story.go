package tamper

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// Origin is the name that the checkpoints of the story have.
const Origin = "tamper.example/fleet"

// Story is a short history with something of everything: two inventories, facts,
// a plan, messages that are no event, and two checkpoints.
type Story struct {
	Log         []eventlog.Record
	Inventories map[string][]byte
	Key         merkle.Key
	// Early is the first of the two checkpoints, as somebody kept it elsewhere.
	Early merkle.Checkpoint
}

// Inventory is the text with this digest.
func (s *Story) Inventory(_ context.Context, digest string) ([]byte, error) {
	if text, ok := s.Inventories[digest]; ok {
		return text, nil
	}
	return nil, eventlog.ErrNoInventory
}

// Records are those behind after.
func (s *Story) Records(_ context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for _, r := range s.Log[after:] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// telling is a story while it is told.
type telling struct {
	t    testing.TB
	log  *eventlog.Memory
	tree merkle.Frontier
	s    *Story
}

// Tell makes the story, always the same but for its key.
func Tell(t testing.TB) *Story {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := telling{t: t, s: &Story{Inventories: make(map[string][]byte), Key: NewKey(t, Origin)}}
	l.log = eventlog.NewMemory(events.DefaultSubjects(), func() time.Time {
		at = at.Add(time.Second + 123456789)
		return at
	})
	l.apply(1, "trust_domain: fleet.example\n# one\n")
	for i := range 8 {
		l.tell(fleet.NodeID(fmt.Sprintf("node-%d", i)), events.TypeNodeAppeared, &events.NodeAppeared{Epoch: 1, Session: "s"})
	}
	l.raw("fleet.events.node.node-1", nil, nil)
	l.raw("fleet.events.node.node-1", map[string][]string{"x-<é>\"": {"a", "", "b\\"}}, []byte("no { JSON"))
	l.sign()
	l.raw("fleet.events.\xff", map[string][]string{"x\xfe": {"\xfd"}}, []byte{0, 255})
	l.raw("fleet.actions.x", nil, []byte(` {"a":1}`))
	l.raw("fleet.actions.x", nil, []byte(`{"a": "ü \u00fc","b":[1, 2.50]}`))
	l.raw("fleet.actions.x", nil, []byte("{\n}"))
	l.apply(2, "trust_domain: fleet.example\n# two\n")
	l.tell("node-1", events.TypeNodeLost, &events.NodeLost{Epoch: 1, Reason: "lease_ended"})
	l.apply(3, "trust_domain: fleet.example\n# one\n") // a text that was in force before
	l.sign()
	l.tell("node-2", events.TypeNodeLost, &events.NodeLost{Epoch: 1, Reason: "lease_ended"})
	l.tell("node-3", events.TypeNodeLost, &events.NodeLost{Epoch: 1, Reason: "lease_ended"})
	l.s.Log = l.records(0)
	return l.s
}

// NewKey makes a key for checkpoints of that name.
func NewKey(t testing.TB, name string) merkle.Key {
	t.Helper()
	folder := t.TempDir()
	_, err := merkle.CreateKey(folder, name)
	if err != nil {
		t.Fatal(err)
	}
	key, err := merkle.LoadKey(filepath.Join(folder, merkle.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (l *telling) records(after uint64) []eventlog.Record {
	l.t.Helper()
	records, err := l.log.Read(l.t.Context(), after, 1000)
	if err != nil {
		l.t.Fatal(err)
	}
	return records
}

func (l *telling) tell(node fleet.NodeID, typ events.Type, data events.Payload) {
	l.t.Helper()
	last, err := l.log.Last(l.t.Context())
	if err == nil {
		_, err = l.log.Append(l.t.Context(), eventlog.Entry{Event: &events.Event{
			ID: fmt.Sprintf("%032d", last+1), Source: events.SourcePlanner, Type: typ, Node: node,
			Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Data: data,
		}})
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *telling) raw(subject string, header map[string][]string, data []byte) {
	l.t.Helper()
	if _, err := l.log.AppendRaw(l.t.Context(), events.Message{Subject: subject, Header: header, Data: data}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *telling) apply(generation uint64, text string) {
	digest := inventory.Digest([]byte(text))
	l.s.Inventories[digest] = []byte(text)
	l.tell("", events.TypeInventoryApplied, &events.InventoryApplied{Digest: digest, Generation: generation, Actor: "ann"})
}

func (l *telling) sign() {
	l.t.Helper()
	for _, r := range l.records(l.tree.Size()) {
		l.tree.Append(merkle.LeafOf(r))
	}
	signed, c := Checkpoint(l.t, &l.tree, l.s.Key)
	if l.s.Early.Size == 0 {
		l.s.Early = c
	}
	l.tell("", events.TypeCheckpointSigned, signed)
}

// Checkpoint signs what the tree is.
func Checkpoint(t testing.TB, tree *merkle.Frontier, key merkle.Key) (*events.CheckpointSigned, merkle.Checkpoint) {
	t.Helper()
	c := merkle.Checkpoint{Origin: key.Name(), Size: tree.Size(), Root: tree.Root()}
	note, err := merkle.Sign(c, key)
	if err != nil {
		t.Fatal(err)
	}
	d := events.CheckpointSigned{Size: c.Size, Note: string(note), Frontier: []string{}}
	for _, h := range tree.Edge() {
		d.Frontier = append(d.Frontier, h.String())
	}
	return &d, c
}

// File is an export of the story.
func (s *Story) File(t testing.TB) []byte {
	t.Helper()
	return Export(t, s, 0)
}

// Export writes the records behind since.
func Export(t testing.TB, s *Story, since uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	e := archive.Export{Source: s, Subjects: events.DefaultSubjects(), Since: since, Until: uint64(len(s.Log))}
	if _, err := e.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
