package archive

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

func (w *walk) record(line []byte) (eventlog.Record, error) {
	r, c, ok := parseRecord(line)
	var err error
	switch {
	case !ok:
		err = w.fault("this is no line of a record")
	case r.Sequence != w.seq+1:
		err = w.fault("sequence %d follows on %d: lines are missing, or stand in another order", r.Sequence, w.seq)
	case transport(r.Message.Header):
		err = w.fault("a header begins with \"Nats-\", which belongs to the transport and is part of no record")
	case !w.ofFleet(r.Message.Subject):
		err = w.fault("subject %q is none of the log of prefix %q", r.Message.Subject, w.header.Prefix)
	}
	if err != nil {
		return eventlog.Record{}, err
	}
	leaf := merkle.LeafOf(r)
	if w.chain.next(leaf) != c {
		return eventlog.Record{}, w.fault("chain is %s, but of this record on the one before it follows %s: one of them was changed", short(c), short(w.chain.next(leaf)))
	}
	if w.render = appendRecordLine(w.render[:0], r, c); !bytes.Equal(w.render, line) {
		return eventlog.Record{}, w.fault("this record is written otherwise than an export writes it")
	}
	if w.decode {
		r.Event, r.Err = events.Decode(w.subjects, r.Message)
	}
	if err := w.applied(r); err != nil {
		return eventlog.Record{}, err
	}
	w.chain = c
	w.tree.Append(leaf)
	if err := w.checkpoint(r); err != nil {
		return eventlog.Record{}, err
	}
	w.seq = r.Sequence
	return r, w.compareRoot()
}

// transport says that a header would tell a server something.
func transport(header map[string][]string) bool {
	for name := range header {
		if strings.HasPrefix(name, "Nats-") {
			return true
		}
	}
	return false
}

func (w *walk) ofFleet(subject string) bool {
	rest, ok := strings.CutPrefix(subject, w.header.Prefix+".")
	return ok && (strings.HasPrefix(rest, "events.") || strings.HasPrefix(rest, "actions."))
}

// applied checks that each inventory stands just before the record that first
// applies it. A part may speak of one that stands in a part before it.
func (w *walk) applied(r eventlog.Record) error {
	digest, ok := appliedBy(w.subjects, r)
	if w.waiting != "" {
		if !ok || digest != w.waiting {
			return w.fault("inventory %s stands before a record that does not apply it", w.waiting)
		}
		w.waiting = ""
		return nil
	}
	if ok && !w.known[digest] && !w.missing[digest] && w.header.After == 0 {
		return w.fault("inventory %s is applied, but its text does not stand before it", digest)
	}
	return nil
}

func (w *walk) inventory(line []byte) error {
	l, ok := parseInventory(line)
	switch {
	case !ok:
		return w.fault("this is no line of an inventory")
	case w.known[l.digest] || w.missing[l.digest] || w.waiting != "":
		return w.fault("inventory %s stands where no record needs it", l.digest)
	case l.missing == "" && inventory.Digest([]byte(l.text)) != l.digest:
		return w.fault("text of inventory %s has digest %s: it was changed", l.digest, inventory.Digest([]byte(l.text)))
	}
	w.waiting = l.digest
	if l.missing != "" {
		w.missing[l.digest] = true
		w.found(l.digest, span{})
		w.sum.Missing = append(w.sum.Missing, l.digest)
		return nil
	}
	w.known[l.digest] = true
	w.found(l.digest, span{w.at - int64(len(line)), len(line)})
	w.sum.Inventories++
	return nil
}

// checkpoint compares one that stands on the log with the records before it.
func (w *walk) checkpoint(r eventlog.Record) error {
	d, ok := checkpointOf(w.subjects, r)
	if !ok {
		if r.Message.Subject == w.subjects.Checkpoint() && len(w.options.Keys) > 0 {
			return w.fault("this is no checkpoint that could be verified")
		}
		return nil
	}
	c, err := w.options.open([]byte(d.Note))
	if err != nil {
		return w.fault("%w", err)
	}
	if c.Size >= r.Sequence {
		return w.fault("checkpoint of sequence %d stands at %d: records before it are missing", c.Size, r.Sequence)
	}
	mine := claim{c, w.line, r.Sequence}
	switch root, known := w.tree.RootAt(c.Size); {
	case known && root != c.Root:
		return w.fault("%w", mine.mismatch(root))
	case !known && c.Size < w.header.After: // of records that this part does not have
	case !known:
		w.late = append(w.late, mine)
	}
	w.sum.Note, w.sum.Checkpoint = d.Note, c
	w.sum.Checkpoints++
	return nil
}

// compareRoot compares with what is claimed about the log up to here.
func (w *walk) compareRoot() error {
	for len(w.claims) > 0 && w.claims[0].Size <= w.seq {
		c := w.claims[0]
		w.claims = w.claims[1:]
		if c.Size < w.seq {
			return &Fault{Line: w.line, Sequence: w.seq, Err: fmt.Errorf("%w: it begins behind sequence %d, so that the checkpoint of sequence %d cannot be compared", ErrPart, w.header.After, c.Size)}
		}
		if root := w.tree.Frontier().Root(); root != c.Root {
			line, seq := w.line, w.seq
			if c.seq > 0 {
				line, seq = c.line, c.seq
			}
			return &Fault{Line: line, Sequence: seq, Err: c.mismatch(root)}
		}
	}
	return nil
}

func (w *walk) trailer(line []byte) error {
	t, ok := parseTrailer(line)
	root := w.tree.Frontier().Root()
	switch {
	case !ok:
		return w.fault("this is no last line of an export")
	case w.waiting != "":
		return w.fault("inventory %s stands before no record", w.waiting)
	case t.size != w.seq:
		return w.fault("the export ends at sequence %d, but the records before this line at %d", t.size, w.seq)
	case t.chain != w.chain:
		return w.fault("chain is %s, but that of the records before this line is %s", short(t.chain), short(w.chain))
	case t.root != root:
		return w.fault("root is %s, but that of the records before this line is %s", t.root, root)
	case w.sum.Checkpoints == 0 && w.header.After > 0:
		if err := w.earlier(t.checkpoint); err != nil {
			return err
		}
	case t.checkpoint != w.sum.Note:
		return w.fault("checkpoint is not the newest that stands on the log")
	}
	w.ended = true
	w.sum.Size, w.sum.Root = w.seq, root
	return nil
}

// earlier takes the newest checkpoint from the end of a part that has none. It is
// of records that stand elsewhere, or of those just before the part.
func (w *walk) earlier(note string) error {
	if note == "" {
		return nil
	}
	c, err := w.options.open([]byte(note))
	if err != nil {
		return w.fault("%w", err)
	}
	if c.Size >= w.header.After {
		return w.fault("checkpoint of sequence %d stands on none of these records", c.Size)
	}
	w.sum.Note, w.sum.Checkpoint = note, c
	return nil
}

func short(c chain) string { return hex.EncodeToString(c[:4]) + "…" }
