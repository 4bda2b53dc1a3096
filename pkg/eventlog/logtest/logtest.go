package logtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// RawAppender stores a message as it is and returns its sequence.
type RawAppender interface {
	AppendRaw(ctx context.Context, m events.Message) (uint64, error)
}

// Patience is how long one step may take before a test gives up.
const Patience = 30 * time.Second

// Run holds a log to the contract. open returns a new, empty log each time and
// cleans up with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) eventlog.Log) {
	tests := []struct {
		name string
		test func(s *suite)
	}{
		{"an empty log has no records", (*suite).empty},
		{"appended entries come back in order, next to each other", (*suite).order},
		{"what is read is what was written", (*suite).fidelity},
		{"a batch is stored whole or not at all", (*suite).atomic},
		{"a fence on a subject holds only for its last sequence", (*suite).fenceSubject},
		{"a fence on an empty subject holds only while it is empty", (*suite).fenceSubjectEmpty},
		{"a fence on the log holds only for its last sequence", (*suite).fenceLog},
		{"a fence on an empty log holds only while it is empty", (*suite).fenceLogEmpty},
		{"a batch that makes no sense changes nothing", (*suite).refused},
		{"a full batch fits, one more entry does not", (*suite).tooLarge},
		{"of writers that race exactly one wins", (*suite).race},
		{"writers that try again all get through once", (*suite).retry},
		{"read turns pages", (*suite).pages},
		{"last on a subject", (*suite).lastOn},
		{"a cursor sees history, then what is appended", (*suite).follow},
		{"a cursor starts in the middle and at the end", (*suite).followMiddle},
		{"many cursors see the same", (*suite).followMany},
		{"next ends with its context and the cursor goes on", (*suite).cancel},
		{"next ends when the cursor is closed", (*suite).closed},
		{"a message that does not fit is a record with an error", (*suite).misfit},
		{"a cursor beyond the end is a gap", (*suite).beyond},
		{"a context that has ended stops everything", (*suite).ended},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), Patience)
			defer cancel()
			tt.test(&suite{T: t, ctx: ctx, log: open(t)})
		})
	}
}

type suite struct {
	*testing.T
	ctx context.Context
	log eventlog.Log
}

// Appeared is a small event of one node.
func Appeared(id fleet.NodeID, session string) *events.Event {
	return &events.Event{
		ID: events.NewID("logtest", string(id), session), Source: events.SourcePlanner, Type: events.TypeNodeAppeared,
		Node: id, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Data: &events.NodeAppeared{
			Epoch: 1, Session: session,
			KeyFingerprint: "sha256:0000000000000000000000000000000000000000000000000000000000000000",
		},
	}
}

func entry(id fleet.NodeID, session string) eventlog.Entry {
	return eventlog.Entry{Event: Appeared(id, session)}
}

func fenced(e eventlog.Entry, f eventlog.Fence) eventlog.Entry {
	e.Fence = f
	return e
}

// entries are n of different nodes, "n1" and so on.
func entries(n int) []eventlog.Entry {
	list := make([]eventlog.Entry, n)
	for i := range list {
		list[i] = entry(fleet.NodeID(fmt.Sprintf("n%d", i+1)), "s")
	}
	return list
}

func (s *suite) append(list ...eventlog.Entry) uint64 {
	s.Helper()
	last, err := s.log.Append(s.ctx, list...)
	if err != nil {
		s.Fatalf("append %d entries: %v", len(list), err)
	}
	return last
}

// conflict appends what must not be stored.
func (s *suite) conflict(list ...eventlog.Entry) {
	s.Helper()
	before := s.last()
	last, err := s.log.Append(s.ctx, list...)
	if !errors.Is(err, eventlog.ErrConflict) || last != 0 {
		s.Fatalf("append: %d, %v; want a conflict", last, err)
	}
	if after := s.last(); after != before {
		s.Fatalf("a conflict moved the log from %d to %d", before, after)
	}
}

func (s *suite) last() uint64 {
	s.Helper()
	last, err := s.log.Last(s.ctx)
	if err != nil {
		s.Fatalf("last: %v", err)
	}
	return last
}

func (s *suite) wantLast(want uint64) {
	s.Helper()
	if got := s.last(); got != want {
		s.Fatalf("log ends at %d, want %d", got, want)
	}
}

func (s *suite) read(after uint64, limit int) []eventlog.Record {
	s.Helper()
	records, err := s.log.Read(s.ctx, after, limit)
	if err != nil {
		s.Fatalf("read behind %d: %v", after, err)
	}
	return records
}

func (s *suite) cursor(after uint64) eventlog.Cursor {
	s.Helper()
	c, err := s.log.Follow(s.ctx, after)
	if err != nil {
		s.Fatalf("follow behind %d: %v", after, err)
	}
	s.Cleanup(c.Close)
	return c
}

// take returns exactly n records, from as many calls of Next as it needs.
func (s *suite) take(c eventlog.Cursor, n int) []eventlog.Record {
	s.Helper()
	var records []eventlog.Record
	for len(records) < n {
		more, err := c.Next(s.ctx)
		if err != nil {
			s.Fatalf("next after %d of %d records: %v", len(records), n, err)
		}
		if len(more) == 0 {
			s.Fatal("next returned no records and no error")
		}
		records = append(records, more...)
	}
	if len(records) != n {
		s.Fatalf("got %d records, want %d", len(records), n)
	}
	return records
}

// contiguous checks that records begin behind after and leave nothing out.
func (s *suite) contiguous(records []eventlog.Record, after uint64) {
	s.Helper()
	for i, r := range records {
		if r.Sequence != after+uint64(i)+1 {
			s.Fatalf("record %d behind %d has sequence %d", i, after, r.Sequence)
		}
		if r.Err != nil || r.Event == nil {
			s.Fatalf("record %d: event %v, error %v", r.Sequence, r.Event, r.Err)
		}
	}
}
