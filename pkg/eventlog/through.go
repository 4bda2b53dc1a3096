package eventlog

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// throughPage is how many records are asked for at a time where there is no
// cursor, and up to how many a cursor is not worth its while.
const throughPage = 4 * readMessages

// silence says that records that the log has do not come, for as long as a cluster
// may take to find a leader. It is an ErrUnreachable.
type silence time.Duration

func (s silence) Error() string      { return fmt.Sprintf("nothing came for %v", time.Duration(s)) }
func (silence) Is(target error) bool { return target == ErrUnreachable }

// Records yields the records behind sequence after, in order, up to the end that
// the log has when they have been read. An error ends it.
func Records(ctx context.Context, log Log, after uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			last, err := log.Last(ctx)
			if err != nil {
				yield(Record{}, err)
				return
			}
			if last <= after {
				return
			}
			for r, err := range Through(ctx, log, after, last) {
				if !yield(r, err) || err != nil {
					return
				}
			}
			after = last
		}
	}
}

// Through yields the records behind sequence after up to the sequence last, which
// the log must have, in order. It reads on while its caller works. An error ends it.
//
// A history is read by a cursor where there may be one: a server hands out single
// records at more than twice the cost.
func Through(ctx context.Context, log Log, after, last uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if last <= after {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		read := make(chan []Record, 1)
		var failed error
		go func() {
			defer close(read)
			failed = through(ctx, log, after, last, read)
		}()
		defer func() {
			cancel()
			for range read { // until it has ended
			}
		}()
		for records := range read {
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
		}
		if failed != nil {
			yield(Record{}, failed)
		}
	}
}

func through(ctx context.Context, log Log, after, last uint64, to chan<- []Record) error {
	next, done := pages(log), func() {}
	if l, ok := log.(*streamLog); ok && !l.bus.options.NoConsumers && last > after+throughPage {
		if cursor, err := log.Follow(ctx, after); err == nil { // else it may not be allowed
			next, done = following(cursor), cursor.Close
		}
	}
	defer done()
	for after < last {
		records, err := next(ctx, after, last)
		if err != nil {
			return fmt.Errorf("read the log after sequence %d: %w", after, err)
		}
		if after = records[len(records)-1].Sequence; after > last {
			records = records[:len(records)-int(after-last)]
		}
		select {
		case to <- records:
		case <-ctx.Done():
			return fmt.Errorf("read the log: %w", context.Cause(ctx))
		}
	}
	return nil
}

// pages asks for records of which last is the last: first for few, for many
// callers want no more.
func pages(log Log) func(ctx context.Context, after, last uint64) ([]Record, error) {
	size := uint64(throughPage / 8)
	return func(ctx context.Context, after, last uint64) ([]Record, error) {
		size = min(2*size, throughPage)
		records, err := log.Read(ctx, after, int(min(size, last-after)))
		if err == nil && len(records) == 0 {
			err = fmt.Errorf("%w: it ends there, and had %d", ErrGap, last)
		}
		return records, err
	}
}

// following waits for records, which may be more than are asked for.
func following(cursor Cursor) func(ctx context.Context, after, last uint64) ([]Record, error) {
	return func(ctx context.Context, _, _ uint64) ([]Record, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, settleTimeout, silence(settleTimeout))
		defer cancel()
		return cursor.Next(ctx)
	}
}
