package buslog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// DefaultEvery is how often a File looks for more.
const DefaultEvery = 500 * time.Millisecond

// File follows the log file of a server.
type File struct {
	Path string
	// Every is how often to look for more; 0 is DefaultEvery.
	Every time.Duration
	// Tell hears of each refusal.
	Tell func(Refusal)
	// Trouble hears why the file cannot be read, once until it can again; nil after
	// that. A file that is not there yet is no trouble.
	Trouble func(error)
}

// Run reads until ctx ends; then it returns nil. It goes on after any trouble.
func (f File) Run(ctx context.Context) error {
	if f.Every == 0 {
		f.Every = DefaultEvery
	}
	r := &reader{File: f}
	defer r.close()
	tick := time.NewTicker(f.Every)
	defer tick.Stop()
	for begun := false; ; begun = true {
		r.note(r.look(ctx, !begun))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// reader is a File while it is read.
type reader struct {
	File
	open    *os.File
	lines   *bufio.Reader
	at      int64  // how far the open file was read
	part    []byte // of a line whose end has not come
	trouble bool
}

func (r *reader) close() {
	if r.open != nil {
		r.open.Close()
		r.open = nil
	}
}

func (r *reader) note(err error) {
	if r.Trouble != nil && (err != nil) != r.trouble {
		r.Trouble(err)
	}
	r.trouble = err != nil
}

// look reads what has come. The first look passes over what is there already.
func (r *reader) look(ctx context.Context, first bool) error {
	if r.open != nil {
		if err := r.read(ctx); err != nil {
			return err
		}
	}
	changed, err := r.reopen(ctx, first)
	if err != nil || !changed {
		return err
	}
	return r.read(ctx)
}

// reopen opens the file that has the name now, if it is another one than before,
// or the same and shorter.
func (r *reader) reopen(ctx context.Context, first bool) (changed bool, err error) {
	now, err := os.Stat(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // not yet, or between two
	}
	if err != nil {
		return false, fmt.Errorf("look at log of server: %w", err)
	}
	if !now.Mode().IsRegular() {
		return false, fmt.Errorf("look at log of server: %s is not a regular file", r.Path)
	}
	if r.open != nil {
		if old, err := r.open.Stat(); err == nil && os.SameFile(old, now) && now.Size() >= r.at {
			return false, nil
		}
		// Whoever has begun another file writes to the old one no more.
		if err := r.read(ctx); err != nil {
			return false, err
		}
		r.close()
	}
	if r.open, err = os.Open(r.Path); err != nil {
		r.open = nil
		return false, fmt.Errorf("open log of server: %w", err)
	}
	r.at, r.part = 0, nil
	if first {
		if r.at, err = r.open.Seek(0, io.SeekEnd); err != nil {
			return false, fmt.Errorf("find the end of the log of server: %w", err)
		}
	}
	r.lines = bufio.NewReaderSize(r.open, maxText)
	return true, nil
}

// read tells of all lines that are whole. Of one that is too long its beginning is
// kept, which says as much as such a line can.
func (r *reader) read(ctx context.Context) error {
	for ctx.Err() == nil {
		piece, err := r.lines.ReadSlice('\n')
		r.at += int64(len(piece))
		if room := maxText + 1 - len(r.part); room > 0 {
			r.part = append(r.part, piece[:min(room, len(piece))]...)
		}
		switch {
		case err == nil:
			if refusal, ok := ParseLine(trimEnd(r.part)); ok {
				r.Tell(refusal)
			}
			r.part = r.part[:0]
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil
		default:
			return fmt.Errorf("read log of server: %w", err)
		}
	}
	return nil
}

func trimEnd(line []byte) string {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	return string(line)
}
