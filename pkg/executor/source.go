package executor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// handedOut is a record, and whether it was given back.
type handedOut struct {
	eventlog.Record
	again bool
}

// LogActions hands out the actions of a log from its beginning, those with an
// outcome too. It keeps nothing and shares with nobody: for one executor on a
// log in memory, and for tests. On a server use Bus.Actions.
type LogActions struct {
	cursor  eventlog.Cursor
	mu      sync.Mutex
	ready   []handedOut
	again   chan struct{} // has a value while ready has records that were given back
	reading chan []eventlog.Record
	failed  chan error
}

// FromLog follows log until ctx ends; from then on Next only waits for the end
// of its own context.
func FromLog(ctx context.Context, log eventlog.Log) (*LogActions, error) {
	cursor, err := log.Follow(ctx, 0)
	if err != nil {
		return nil, err
	}
	a := &LogActions{
		cursor: cursor, again: make(chan struct{}, 1),
		reading: make(chan []eventlog.Record), failed: make(chan error, 1),
	}
	go a.read(ctx)
	return a, nil
}

func (a *LogActions) read(ctx context.Context) {
	defer a.cursor.Close()
	for {
		records, err := a.cursor.Next(ctx)
		if err != nil {
			a.failed <- err
			return
		}
		select {
		case a.reading <- records:
		case <-ctx.Done():
			a.failed <- ctx.Err()
			return
		}
	}
}

// Next waits for the next action. It is for one goroutine.
func (a *LogActions) Next(ctx context.Context) (eventlog.Delivery, error) {
	for {
		if r, ok := a.pop(); ok {
			return a.delivery(r), nil
		}
		select {
		case <-ctx.Done():
			return eventlog.Delivery{}, ctx.Err()
		case err := <-a.failed:
			a.failed <- err
			if errors.Is(err, context.Canceled) {
				<-ctx.Done()
			}
			return eventlog.Delivery{}, err
		case <-a.again:
		case records := <-a.reading:
			for _, r := range records {
				if r.Event != nil && r.Event.Type.IsAction() {
					a.push(handedOut{Record: r})
				}
			}
		}
	}
}

func (a *LogActions) pop() (r handedOut, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ready) == 0 {
		return r, false
	}
	r, a.ready = a.ready[0], a.ready[1:]
	return r, true
}

func (a *LogActions) push(r handedOut) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready = append(a.ready, r)
}

func (a *LogActions) delivery(r handedOut) eventlog.Delivery {
	return eventlog.Delivery{
		Record:     r.Record,
		Again:      r.again,
		Ack:        func(context.Context) error { return nil },
		InProgress: func() error { return nil },
		Retry: func(delay time.Duration) error {
			time.AfterFunc(delay, func() {
				a.push(handedOut{r.Record, true})
				select {
				case a.again <- struct{}{}:
				default:
				}
			})
			return nil
		},
	}
}
