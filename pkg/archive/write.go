package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

const (
	writeBuffer = 1 << 20
	readBuffer  = 64 << 10
)

// Source is a history to be read: a log, or a file.
type Source interface {
	// Records behind sequence after, in order and without a gap.
	Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error]
	// Inventory is the text with this digest.
	Inventory(ctx context.Context, digest string) ([]byte, error)
}

// Live is a log, with the texts of its inventories, as a Source.
type Live struct {
	Log eventlog.Log
	// Get is the text of an inventory by its digest.
	Get func(ctx context.Context, digest string) ([]byte, error)
}

// Inventory is the text with this digest.
func (l Live) Inventory(ctx context.Context, digest string) ([]byte, error) {
	return l.Get(ctx, digest)
}

// Records reads up to the end that the log has by then.
func (l Live) Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return eventlog.Records(ctx, l.Log, after)
}

// Export says what is to be written.
type Export struct {
	Source   Source
	Subjects events.Subjects
	// Since is the sequence to begin behind; 0 for a whole log.
	Since uint64
	// Until is the last sequence to write.
	Until uint64
	// Progress, unless nil, is called after each record with its sequence.
	Progress func(seq uint64)
}

// Summary of a file that was written or read.
type Summary struct {
	// After is the sequence it begins behind, Size that of its last record.
	After, Size uint64
	// Root of the tree up to Size.
	Root merkle.Hash
	// Inventories counts those with their text, Missing lists the digests of
	// those without.
	Inventories int
	Missing     []string
	// Checkpoint is the newest that stands on the log; its Size is 0 for none.
	// Only where keys were given was its signature verified.
	Checkpoint merkle.Checkpoint
	// Checkpoints counts those of the file that hold.
	Checkpoints int
	// Note is the newest checkpoint as it is signed; empty for none.
	Note string
}

// Write writes the file. When ctx ends, what has been written is ended by its
// last line all the same: it is a file of its own, and the summary says where to
// go on. The error is ctx's then. Whatever other error comes, w holds no file.
func (e Export) Write(ctx context.Context, w io.Writer) (Summary, error) {
	x := exporting{Export: e, w: bufio.NewWriterSize(w, writeBuffer), chain: firstChain(e.Subjects.Prefix()), known: make(map[string]bool)}
	stopped := x.records(ctx)
	if stopped != nil && (ctx.Err() == nil || !x.begun) {
		return Summary{}, fmt.Errorf("export: %w", stopped)
	}
	if err := x.end(); err != nil {
		return Summary{}, fmt.Errorf("export: %w", err)
	}
	return x.sum, stopped
}

type exporting struct {
	Export
	w     *bufio.Writer
	line  []byte
	begun bool
	chain chain
	tree  merkle.Frontier
	known map[string]bool
	sum   Summary
}

func (x *exporting) records(ctx context.Context) error {
	if x.Since > x.Until {
		return fmt.Errorf("the log ends at sequence %d, before %d", x.Until, x.Since)
	}
	if x.Since == 0 {
		if err := x.begin(); err != nil {
			return err
		}
	}
	if x.Until == 0 {
		return nil
	}
	for r, err := range x.Source.Records(ctx, 0) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = x.record(ctx, r)
		}
		if err != nil || r.Sequence == x.Until {
			return err
		}
	}
	return fmt.Errorf("the log ends at sequence %d, before %d", x.tree.Size(), x.Until)
}

func (x *exporting) begin() error {
	x.begun = true
	x.sum.After = x.Since
	h := Header{Prefix: x.Subjects.Prefix(), After: x.Since, chain: x.chain, frontier: x.tree.Edge()}
	return x.put(h.appendTo(x.line[:0]))
}

func (x *exporting) put(line []byte) error {
	if cap(line) <= writeBuffer { // a large inventory's is not kept
		x.line = line
	}
	_, err := x.w.Write(line)
	return err
}

// record takes account of every record, and writes those behind Since: chain,
// tree and which inventories were written before follow from all of them.
func (x *exporting) record(ctx context.Context, r eventlog.Record) error {
	if r.Sequence != x.tree.Size()+1 {
		return fmt.Errorf("%w: sequence %d follows on %d", eventlog.ErrGap, r.Sequence, x.tree.Size())
	}
	if err := x.inventory(ctx, r); err != nil {
		return err
	}
	leaf := merkle.LeafOf(r)
	x.chain = x.chain.next(leaf)
	x.tree.Append(leaf)
	if note, ok := checkpointOf(x.Subjects, r); ok {
		x.sum.Note = note.Note
	}
	if r.Sequence > x.Since {
		if err := x.put(appendRecordLine(x.line[:0], r, x.chain)); err != nil {
			return err
		}
	}
	if x.Progress != nil {
		x.Progress(r.Sequence)
	}
	if r.Sequence == x.Since {
		return x.begin()
	}
	return nil
}

func (x *exporting) inventory(ctx context.Context, r eventlog.Record) error {
	digest, ok := appliedBy(x.Subjects, r)
	if !ok || x.known[digest] {
		return nil
	}
	if r.Sequence <= x.Since {
		x.known[digest] = true
		return nil
	}
	l := inventoryLine{digest: digest}
	text, err := x.Source.Inventory(ctx, digest)
	switch {
	case errors.Is(err, eventlog.ErrNoInventory), errors.Is(err, eventlog.ErrInventoryDamaged), errors.Is(err, eventlog.ErrInventoryTooLarge):
		l.missing = err.Error()
	case err != nil && eventlog.CheckDigest(digest) != nil:
		l.missing = err.Error() // whoever applied it named what no inventory can have
	case err != nil:
		return fmt.Errorf("inventory of sequence %d: %w", r.Sequence, err)
	}
	if l.text = string(text); l.missing != "" {
		x.sum.Missing = append(x.sum.Missing, digest)
	} else {
		x.sum.Inventories++
	}
	x.known[digest] = true
	return x.put(l.appendTo(x.line[:0]))
}

func (x *exporting) end() error {
	x.sum.Size, x.sum.Root = x.tree.Size(), x.tree.Root()
	if c, err := merkle.Read([]byte(x.sum.Note)); err == nil {
		x.sum.Checkpoint = c
	}
	t := trailer{size: x.sum.Size, root: x.sum.Root, chain: x.chain, checkpoint: x.sum.Note}
	if err := x.put(t.appendTo(x.line[:0])); err != nil {
		return err
	}
	return x.w.Flush()
}

// appliedBy is the digest of the inventory that the record puts into force.
func appliedBy(s events.Subjects, r eventlog.Record) (string, bool) {
	if r.Message.Subject != s.Inventory() {
		return "", false
	}
	e := decoded(s, r)
	if e == nil {
		return "", false
	}
	d, ok := e.Data.(*events.InventoryApplied)
	if !ok {
		return "", false
	}
	return d.Digest, true
}

// checkpointOf is the checkpoint that the record is, with a note that can be read.
func checkpointOf(s events.Subjects, r eventlog.Record) (*events.CheckpointSigned, bool) {
	if r.Message.Subject != s.Checkpoint() {
		return nil, false
	}
	e := decoded(s, r)
	if e == nil {
		return nil, false
	}
	d, ok := e.Data.(*events.CheckpointSigned)
	if !ok {
		return nil, false
	}
	c, err := merkle.Read([]byte(d.Note))
	return d, err == nil && c.Size == d.Size
}

func decoded(s events.Subjects, r eventlog.Record) *events.Event {
	if r.Event != nil || r.Err != nil {
		return r.Event
	}
	e, err := events.Decode(s, r.Message)
	if err != nil {
		return nil
	}
	return e
}
