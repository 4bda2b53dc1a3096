package eventlog

import (
	"context"
	"errors"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Errors a caller branches on.
var (
	// ErrConflict means that the race was lost: something was appended that the
	// writer had not seen. Fold on and decide again.
	ErrConflict = errors.New("log has moved on")
	// ErrGap means that a sequence is missing from a log that never loses one.
	ErrGap = errors.New("log has a gap")
	// ErrTooLarge means that a batch has more than MaxBatch entries.
	ErrTooLarge = errors.New("batch too large")
)

// MaxBatch is how many entries one atomic Append may hold.
const MaxBatch = 1000

// Record is one message of the log.
type Record struct {
	// Sequence counts from 1 without gaps; it is the only order there is.
	Sequence uint64
	// Time the log stored the message.
	Time    time.Time
	Message events.Message
	// Event is nil when the message does not fit; Err then says why.
	Event *events.Event
	Err   error
}

// Entry is one event to append, and what must still be true for it to be.
type Entry struct {
	Event *events.Event
	Fence Fence
	// encoded is the event as a message, where somebody had the time.
	encoded *encoded
}

// encoded is for one append: that adds its own to the message.
type encoded struct {
	taken   bool
	message events.Message
}

func (e *Entry) encode(s events.Subjects) (events.Message, error) {
	if e.encoded == nil || e.encoded.taken {
		return events.Encode(s, e.Event)
	}
	e.encoded.taken = true
	return e.encoded.message, nil
}

type fenceKind int

const (
	fenceNone fenceKind = iota
	fenceSubject
	fenceLog
)

// Fence is the condition of an Entry. The zero Fence is no condition.
type Fence struct {
	kind fenceKind
	seq  uint64
}

// LastOnSubject holds when seq is the last sequence on the entry's own,
// concrete subject; 0 means that the subject is still empty.
func LastOnSubject(seq uint64) Fence { return Fence{fenceSubject, seq} }

// LastInLog holds when seq is the last sequence of the whole log. Only the
// first entry of a batch may carry it.
func LastInLog(seq uint64) Fence { return Fence{fenceLog, seq} }

// Log is an append-only sequence of events.
type Log interface {
	// Append stores all entries next to each other, or none of them. It returns
	// the sequence of the last. ErrConflict says that a fence did not hold. Any
	// other error leaves it open whether the entries were stored: read on.
	Append(ctx context.Context, entries ...Entry) (last uint64, err error)
	// Read returns up to limit records with a sequence above after, in order;
	// none when there are no more.
	Read(ctx context.Context, after uint64, limit int) ([]Record, error)
	// Follow starts a cursor behind sequence after.
	Follow(ctx context.Context, after uint64) (Cursor, error)
	// Last is the sequence of the newest record, 0 for an empty log.
	Last(ctx context.Context) (uint64, error)
	// LastOn is the newest sequence on one concrete subject, 0 for none.
	LastOn(ctx context.Context, subject string) (uint64, error)
	// Subjects of the fleet whose log this is.
	Subjects() events.Subjects
}

// Cursor reads a log as it grows. It is for one goroutine.
type Cursor interface {
	// Next waits for the next records and returns those that arrived together, in
	// order, at least one; more may be here. A connection that is lost or a consumer that stalls
	// is replaced behind the last record returned; Next only waits longer.
	// ErrGap is final.
	Next(ctx context.Context) ([]Record, error)
	// Confirmed is when the log last confirmed that the cursor was at its end
	// or delivered a record: a watermark for staleness, never for emptiness.
	Confirmed() time.Time
	Close()
}
