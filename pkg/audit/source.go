package audit

import (
	"context"
	"fmt"
	"iter"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// Source is a history: a log that does not grow while it is read, and the texts
// of the inventories that it names. It may also have a method Subjects, with the
// subjects of the fleet whose history it is, where its prefix is not the default.
type Source interface {
	// Records yields the records behind sequence after, in order. An error ends it.
	Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error]
	// Inventory is the text with that digest.
	Inventory(ctx context.Context, digest string) ([]byte, error)
}

// subjectsOf are those of the fleet whose history it is: a Source may tell by a
// method Subjects, and is of the default prefix otherwise.
func subjectsOf(source Source) events.Subjects {
	if s, ok := source.(interface{ Subjects() events.Subjects }); ok {
		return s.Subjects()
	}
	return events.DefaultSubjects()
}

// Live is a Source over a log that may grow: it ends where the log ended when it
// was made, or with the last action of a plan that stood there in part.
type Live struct {
	log   eventlog.Log
	fetch func(ctx context.Context, digest string) ([]byte, error)
	end   uint64
}

// NewLive asks the log where it ends. fetch finds the texts of inventories.
func NewLive(ctx context.Context, log eventlog.Log, fetch func(ctx context.Context, digest string) ([]byte, error)) (*Live, error) {
	end, err := log.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the end of the log: %w", err)
	}
	return &Live{log: log, fetch: fetch, end: end}, nil
}

// End is the sequence that the log ended with.
func (l *Live) End() uint64 { return l.end }

// Subjects of the fleet whose log it is.
func (l *Live) Subjects() events.Subjects { return l.log.Subjects() }

// Inventory is the text with that digest.
func (l *Live) Inventory(ctx context.Context, digest string) ([]byte, error) {
	return l.fetch(ctx, digest)
}

// page is how many records are asked for at once.
const page = 500

// Records yields the records behind sequence after.
func (l *Live) Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		open := false // a plan of which more is to come
		for r, err := range eventlog.Through(ctx, l.log, after, l.end) {
			if !yield(r, err) || err != nil {
				return
			}
			after, open = r.Sequence, opens(r.Event)
		}
		for open {
			some, err := l.log.Read(ctx, after, page)
			if err != nil {
				yield(eventlog.Record{}, fmt.Errorf("read the log after sequence %d: %w", after, err))
				return
			}
			for _, r := range some {
				if !open || !yield(r, nil) {
					return
				}
				after, open = r.Sequence, opens(r.Event)
			}
			if len(some) == 0 {
				return
			}
		}
	}
}

// opens says that the event announces that others of its plan follow at once.
func opens(e *events.Event) bool {
	if e == nil {
		return false
	}
	if d, ok := e.Data.(*events.PlanDecided); ok {
		return len(d.Actions) > 0
	}
	return e.Step != nil && e.Step.Step < e.Step.Steps
}
