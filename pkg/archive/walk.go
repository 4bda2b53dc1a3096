package archive

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// maxLine bounds a line: an inventory of the largest size, in which every byte
// is escaped.
const maxLine int64 = 6*eventlog.MaxInventoryBytes + 1024

// span is where in the file the line of an inventory is.
type span struct {
	at     int64
	length int
}

// claim is a root that the log must have had at a size.
type claim struct {
	merkle.Checkpoint
	// line and seq of the record that claims it; both 0 for one kept elsewhere.
	line int
	seq  uint64
}

func (c claim) mismatch(root merkle.Hash) error {
	what := "checkpoint that was kept"
	if c.seq > 0 {
		what = "checkpoint"
	}
	return fmt.Errorf("%s of %s says that the log had root %s at sequence %d, but these records have %s: one of them is not what was signed", what, c.Origin, c.Root, c.Size, root)
}

// walk goes over a file line by line and verifies it.
type walk struct {
	in      *bufio.Reader
	options *Options
	// decode says that whoever reads wants the events; found is told of each
	// inventory, with a length of 0 where there is no text.
	decode   bool
	found    func(digest string, at span)
	line     int
	at       int64
	header   Header
	subjects events.Subjects
	seq      uint64
	chain    chain
	tree     *merkle.Recent
	// known are the inventories so far; waiting is the one whose record must follow.
	known   map[string]bool
	waiting string
	missing map[string]bool
	// claims that are still ahead, by their size, and those that came too late to
	// be compared in this walk.
	claims []claim
	late   []claim
	ended  bool
	sum    Summary
	render []byte
}

func newWalk(r io.Reader, o *Options, claims []claim, found func(string, span)) *walk {
	claims = slices.Clone(claims)
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(a.Size, b.Size) })
	return &walk{
		in: bufio.NewReaderSize(r, readBuffer), options: o, claims: claims, found: found,
		known: make(map[string]bool), missing: make(map[string]bool),
	}
}

func (w *walk) fault(format string, args ...any) error {
	return &Fault{Line: w.line, Sequence: w.seq + 1, Err: fmt.Errorf(format, args...)}
}

// begin reads the first line.
func (w *walk) begin() error {
	line, err := w.read()
	if errors.Is(err, io.EOF) {
		return &Fault{Line: 1, Err: errors.New("file is empty: an export begins with a line of its own")}
	}
	if err != nil {
		return err
	}
	h, err := w.parseHeader(line)
	if err != nil {
		return err
	}
	tree, err := merkle.NewFrontier(h.After, h.frontier)
	if err != nil {
		return &Fault{Line: 1, Sequence: h.After, Err: err}
	}
	if h.After == 0 && h.chain != firstChain(h.Prefix) {
		return &Fault{Line: 1, Err: fmt.Errorf("chain does not begin as that of prefix %q", h.Prefix)}
	}
	w.header, w.seq, w.chain, w.tree = h, h.After, h.chain, merkle.NewRecent(tree)
	w.sum.After = h.After
	return w.compareRoot()
}

func (w *walk) parseHeader(line []byte) (Header, error) {
	h, version, ok := parseHeader(line)
	switch {
	case !ok:
		return h, &Fault{Line: w.line, Sequence: w.seq, Err: errors.New("this is no first line of an export")}
	case version != Version:
		return h, &Fault{Line: w.line, Sequence: w.seq, Err: fmt.Errorf("format %d is not known, only %d: read it with a newer fleetfold", version, Version)}
	}
	var err error
	if w.subjects, err = events.NewSubjects(h.Prefix); err != nil {
		return h, &Fault{Line: w.line, Sequence: w.seq, Err: err}
	}
	return h, nil
}

// read returns the next line with its end. The slice is good until the next read.
func (w *walk) read() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = w.readLong(line)
	}
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil, io.EOF
	}
	w.line++
	w.at += int64(len(line))
	switch {
	case int64(len(line)) > maxLine:
		return nil, w.fault("line has more than %d bytes", maxLine)
	case errors.Is(err, io.EOF):
		return nil, w.fault("line is cut off: the file was not written to its end")
	}
	return line, err
}

func (w *walk) readLong(begin []byte) ([]byte, error) {
	line := bytes.Clone(begin)
	for {
		more, err := w.in.ReadSlice('\n')
		line = append(line, more...)
		if !errors.Is(err, bufio.ErrBufferFull) || int64(len(line)) > maxLine {
			return line, err
		}
	}
}

// next is the next record; io.EOF behind the last.
func (w *walk) next() (eventlog.Record, error) {
	for {
		line, err := w.read()
		if errors.Is(err, io.EOF) {
			return eventlog.Record{}, w.finish()
		}
		if err != nil {
			return eventlog.Record{}, err
		}
		text := string(line[:min(len(line), len(headerMark))])
		switch {
		case w.ended && text == headerMark:
			err = w.goOn(line)
		case w.ended:
			err = w.fault("something follows on the last line of the export")
		case strings.HasPrefix(text, recordMark):
			return w.record(line)
		case strings.HasPrefix(text, inventoryMark):
			err = w.inventory(line)
		case strings.HasPrefix(text, trailerMark):
			err = w.trailer(line)
		default:
			err = w.fault("this is no line of an export")
		}
		if err != nil {
			return eventlog.Record{}, err
		}
	}
}

// finish looks at the end of the file.
func (w *walk) finish() error {
	w.line++
	switch {
	case !w.ended:
		return w.fault("the last line of the export is missing: the file was cut off, or was not written to its end")
	case w.sum.Note == "" && len(w.options.Keys) > 0:
		return w.fault("no checkpoint stands on the log, so that nothing is signed: 'fleetfold checkpoint create' signs it")
	case len(w.claims) > 0:
		c := w.claims[0]
		return w.fault("the records end at sequence %d, before sequence %d of the checkpoint of %s that was kept", w.seq, c.Size, c.Origin)
	}
	return io.EOF
}

// goOn takes up a second file behind the first.
func (w *walk) goOn(line []byte) error {
	before := w.subjects
	h, err := w.parseHeader(line)
	switch {
	case err != nil:
		return err
	case w.subjects != before:
		return w.fault("prefix is %q, but the file before it is of %q", h.Prefix, before.Prefix())
	case h.After != w.seq:
		return w.fault("this part begins behind sequence %d, but the file before it ends at %d", h.After, w.seq)
	case h.chain != w.chain || !slices.Equal(h.frontier, w.tree.Frontier().Edge()):
		return w.fault("this part begins behind other records than the file before it has")
	}
	w.ended = false
	return nil
}
