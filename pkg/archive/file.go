package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// Options say what else than itself a file is verified against.
type Options struct {
	// Keys that are believed. With one, every checkpoint that stands on the log
	// must be signed by one of them, and there must be one.
	Keys []note.Verifier
	// Kept are checkpoints that were kept elsewhere: the log must have had their
	// roots at their sizes.
	Kept []merkle.Checkpoint
}

func (o *Options) open(signed []byte) (merkle.Checkpoint, error) {
	if len(o.Keys) > 0 {
		return merkle.Open(signed, o.Keys...)
	}
	return merkle.Read(signed)
}

func (o *Options) claims() []claim {
	claims := make([]claim, len(o.Kept))
	for i, c := range o.Kept {
		claims[i] = claim{Checkpoint: c}
	}
	return claims
}

// File is a file that Export wrote, as a Source. It may be read several times,
// each time from its beginning, for only so can it be verified. It is safe for
// use by several goroutines.
type File struct {
	r       *os.File
	options Options
	header  Header

	mu    sync.Mutex
	known map[string]span // without a length where there is no text
}

// Open reads the first line of the file at path.
func Open(path string, o Options) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open export: %w", err)
	}
	info, err := r.Stat()
	if err == nil && !info.Mode().IsRegular() {
		f, err := Spool(r, o)
		return f, errors.Join(err, r.Close())
	}
	return open(r, o, err)
}

// Spool copies a stream, such as standard input, to a file of its own, which has
// no name any more and is gone with Close.
func Spool(r io.Reader, o Options) (*File, error) {
	tmp, err := os.CreateTemp("", "fleetfold-export-*")
	if err != nil {
		return nil, fmt.Errorf("spool export: %w", err)
	}
	_, err = io.Copy(tmp, r)
	err = errors.Join(err, os.Remove(tmp.Name()))
	return open(tmp, o, err)
}

func open(r *os.File, o Options, err error) (*File, error) {
	f := &File{r: r, options: o, known: make(map[string]span)}
	if err == nil {
		w := f.walk(nil)
		err = w.begin()
		f.header = w.header
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open export: %w", err), r.Close())
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.r.Close() }

// Header is the first line of the file.
func (f *File) Header() Header { return f.header }

// Subjects of the fleet whose log it is.
func (f *File) Subjects() events.Subjects {
	s, err := events.NewSubjects(f.header.Prefix)
	if err != nil {
		panic("archive: header was not verified: " + err.Error())
	}
	return s
}

func (f *File) walk(claims []claim) *walk {
	return newWalk(io.NewSectionReader(f.r, 0, 1<<62), &f.options, claims, f.learn)
}

// Records returns those behind sequence after. It verifies all from the first,
// and the last line at the end. The error is a *Fault where the file is not what
// it should be.
func (f *File) Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		if after < f.header.After {
			yield(eventlog.Record{}, fmt.Errorf("read export: %w: it begins behind sequence %d: put it behind the parts before it", ErrPart, f.header.After))
			return
		}
		ended := false
		_, err := f.all(ctx, true, func(r eventlog.Record) bool {
			ended = r.Sequence > after && !yield(r, nil)
			return !ended
		})
		if err != nil && !ended {
			yield(eventlog.Record{}, err)
		}
	}
}

// Verify reads all of the file.
func (f *File) Verify(ctx context.Context) (Summary, error) {
	return f.all(ctx, false, func(eventlog.Record) bool { return true })
}

// all calls each with every record until it says that it wants no more.
func (f *File) all(ctx context.Context, decode bool, each func(eventlog.Record) bool) (Summary, error) {
	w := f.walk(f.options.claims())
	w.decode = decode
	whole, err := w.each(ctx, each)
	if err == nil && whole && len(w.late) > 0 {
		_, err = f.walk(w.late).each(ctx, func(eventlog.Record) bool { return true })
	}
	if err != nil {
		return Summary{}, fmt.Errorf("read export: %w", err)
	}
	return w.sum, nil
}

// each also says whether it went to the end.
func (w *walk) each(ctx context.Context, each func(eventlog.Record) bool) (whole bool, err error) {
	if err := w.begin(); err != nil {
		return false, err
	}
	for {
		r, err := w.next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !each(r) {
			return false, err
		}
	}
}

// learn keeps where an inventory is.
func (f *File) learn(digest string, at span) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[digest] = at
}

// Inventory is the text with this digest. Without it the error is
// eventlog.ErrNoInventory.
func (f *File) Inventory(ctx context.Context, digest string) ([]byte, error) {
	at, known := f.lookUp(digest)
	if !known {
		// It may stand behind what was read so far.
		_, err := f.walk(nil).each(ctx, func(eventlog.Record) bool {
			at, known = f.lookUp(digest)
			return !known
		})
		if err != nil {
			return nil, fmt.Errorf("read export: %w", err)
		}
	}
	if at.length == 0 {
		return nil, fmt.Errorf("inventory %s of the export: %w", digest, eventlog.ErrNoInventory)
	}
	line := make([]byte, at.length)
	if _, err := f.r.ReadAt(line, at.at); err != nil {
		return nil, fmt.Errorf("read inventory %s: %w", digest, err)
	}
	l, ok := parseInventory(line)
	if !ok || l.digest != digest || inventory.Digest([]byte(l.text)) != digest {
		return nil, fmt.Errorf("read inventory %s: the file has changed meanwhile", digest)
	}
	return []byte(l.text), nil
}

func (f *File) lookUp(digest string) (span, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, known := f.known[digest]
	return at, known
}
