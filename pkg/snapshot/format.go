package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// The file: magic, format, length and CBOR of the header; then one zstd frame
// with the body, its hash, and the seal. The body is chunks: a byte that names
// the kind, the length as uvarint, and as many items: CBOR, or, for ids, what
// idWriter writes. A chunk of kind 0
// and length 0 ends it. The seal is the hash of everything before the frame and
// of the body's hash.
const (
	magic = "fleetfold snapshot\n"
	// format is the first thing behind the magic in every format there will be.
	format = 5

	// chunkBytes is when a chunk is full. Where chunks end is a part of what is
	// hashed, so another number is another format.
	chunkBytes = 256 << 10
	// maxChunk is well above a full chunk and one item more: an item is no larger
	// than a few messages of the log.
	maxChunk = 32 << 20
	// maxHeader is above any message id and subject.
	maxHeader = 32 << 10
	// maxBody bounds what is read into memory, and maxGrowth how much more that
	// may be than what is stored: a fleet without certificates grows about 20 fold.
	maxBody   = 16 << 30
	maxGrowth = 200
	// window of the compression, on both sides.
	window = 1 << 20
)

// kinds of chunks, in the order in which they come.
const (
	kindEnd byte = iota
	kindFleet
	kindPauses
	kindApprovals
	kindRotations
	kindFlights
	kindIDs
)

// Errors of what is no snapshot that this program can use.
var (
	// ErrOtherVersion means that another release wrote it: another format, or a
	// fold with other rules.
	ErrOtherVersion = errors.New("snapshot is of another version")
	// ErrDamaged means that it is not what was written, or was never a snapshot.
	ErrDamaged = errors.New("snapshot is damaged")
)

// Mark is the record that a fold ends with. Two logs in which the same record
// stands at the same place are taken for one: a record never changes.
type Mark struct {
	// Sequence of the record; 0 before the first.
	Sequence uint64
	// Time the log stored it, UTC.
	Time time.Time
	// Subject it was stored on, and Message, its event's id; empty when it is no
	// event.
	Subject, Message string
}

// MarkOf is the mark of a record.
func MarkOf(r eventlog.Record) Mark {
	m := Mark{Sequence: r.Sequence, Time: r.Time.Round(0).UTC(), Subject: r.Message.Subject}
	if r.Event != nil {
		m.Message = r.Event.ID
	}
	return m
}

// Hash is the SHA-256 of a state's canonical encoding: the same for the same
// state, on any machine, in any release with the same format and FoldVersion.
type Hash [sha256.Size]byte

// String is "sha256:" and 64 lower-case hex digits.
func (h Hash) String() string { return "sha256:" + hex.EncodeToString(h[:]) }
