package logfilter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// Place is a sequence of a log, or a moment. The zero Place is none.
type Place struct {
	Sequence uint64
	At       time.Time
}

// ParsePlace reads a sequence, a moment as RFC 3339 has it, or a duration back
// from now such as 90m.
func ParsePlace(text string, now time.Time) (Place, error) {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		if n == 0 {
			return Place{}, errors.New("sequences begin at 1")
		}
		return Place{Sequence: n}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		if d <= 0 {
			return Place{}, errors.New("a duration back must be above 0")
		}
		return Place{At: now.Add(-d)}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return Place{At: t}, nil
	}
	return Place{}, errors.New("must be a sequence such as 42, a time such as 2026-01-02T15:04:05Z, or a duration back such as 2h")
}

// IsZero says that there is no place.
func (p Place) IsZero() bool { return p == Place{} }

// First is the first sequence at the place or behind it; one more than last where
// there is none.
func (p Place) First(ctx context.Context, log eventlog.Log, last uint64) (uint64, error) {
	if p.At.IsZero() {
		return min(max(p.Sequence, 1), last+1), nil
	}
	return search(ctx, log, last, func(t time.Time) bool { return !t.Before(p.At) })
}

// Last is the last sequence at the place or before it; 0 where there is none.
func (p Place) Last(ctx context.Context, log eventlog.Log, last uint64) (uint64, error) {
	if p.At.IsZero() {
		return min(p.Sequence, last), nil
	}
	first, err := search(ctx, log, last, func(t time.Time) bool { return t.After(p.At) })
	return first - 1, err
}

// search is the first sequence, up to last, of whose time something holds.
func search(ctx context.Context, log eventlog.Log, last uint64, holds func(time.Time) bool) (uint64, error) {
	low, high := uint64(1), last+1
	for low < high {
		middle := low + (high-low)/2
		records, err := log.Read(ctx, middle-1, 1)
		if err != nil {
			return 1, fmt.Errorf("find a time in the log: %w", err)
		}
		if len(records) == 0 || holds(records[0].Time) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}
