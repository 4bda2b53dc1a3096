package view_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// failing is a log that goes wrong where it is told to.
type failing struct {
	eventlog.Log
	last, follow error
	next         func(eventlog.Cursor, context.Context) ([]eventlog.Record, error)
}

func (f *failing) Last(ctx context.Context) (uint64, error) {
	if f.last != nil {
		return 0, f.last
	}
	return f.Log.Last(ctx)
}

func (f *failing) Follow(ctx context.Context, after uint64) (eventlog.Cursor, error) {
	if f.follow != nil {
		return nil, f.follow
	}
	c, err := f.Log.Follow(ctx, after)
	return &failingCursor{c, f}, err
}

type failingCursor struct {
	eventlog.Cursor
	log *failing
}

func (c *failingCursor) Next(ctx context.Context) ([]eventlog.Record, error) {
	return c.log.next(c.Cursor, ctx)
}

// loses is a cursor that leaves out one record.
func loses(seq uint64) func(eventlog.Cursor, context.Context) ([]eventlog.Record, error) {
	return func(c eventlog.Cursor, ctx context.Context) ([]eventlog.Record, error) {
		records, err := c.Next(ctx)
		for i, r := range records {
			if r.Sequence == seq {
				records = append(records[:i:i], records[i+1:]...)
			}
		}
		return records, err
	}
}

func TestAGapSurfacesEverywhere(t *testing.T) {
	for name, next := range map[string]func(eventlog.Cursor, context.Context) ([]eventlog.Record, error){
		"the cursor says so":   func(eventlog.Cursor, context.Context) ([]eventlog.Record, error) { return nil, eventlog.ErrGap },
		"a record is missing":  loses(2),
		"the first is missing": loses(1),
	} {
		t.Run(name, func(t *testing.T) {
			log := &failing{Log: newLog(), next: next}
			add(t, log, "n1", "n2", "n3")
			v := view.New(log)
			waiting := make(chan error, 1)
			go func() { waiting <- v.Wait(t.Context(), present("nobody")) }()
			for who, err := range map[string]error{
				"Run": v.Run(t.Context()), "who waited": <-waiting, "Err": v.Err(),
				"who comes later": v.Wait(t.Context(), present("n1")), "who catches up": v.CatchUp(t.Context()),
			} {
				if !errors.Is(err, eventlog.ErrGap) {
					t.Errorf("%s: got %v", who, err)
				}
			}
			if sequence(v) > 1 {
				t.Errorf("folded over the gap to %d", sequence(v))
			}
		})
	}
}

func TestAViewThatCannotFollowSaysWhy(t *testing.T) {
	broken := errors.New("broken")
	for name, log := range map[string]*failing{
		"the end cannot be found": {last: broken},
		"no cursor":               {follow: broken},
		"the cursor fails": {next: func(eventlog.Cursor, context.Context) ([]eventlog.Record, error) {
			return nil, broken
		}},
	} {
		t.Run(name, func(t *testing.T) {
			log.Log = newLog()
			v := view.New(log)
			if err := v.Run(t.Context()); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
			if err := v.CatchUp(t.Context()); !errors.Is(err, broken) {
				t.Errorf("catch up: got %v", err)
			}
		})
	}
}

func TestCatchUpSaysWhenTheEndCannotBeFound(t *testing.T) {
	log := &failing{Log: newLog(), next: eventlog.Cursor.Next}
	v := view.New(log)
	begun := v.Changed()
	stop := run(v)
	<-begun
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if err := v.CatchUp(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
