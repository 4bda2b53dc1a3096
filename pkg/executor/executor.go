package executor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// retryDelay is how long a delivery rests that was given back because the log
// could not be reached.
const retryDelay = time.Second

// Executor carries out actions. New makes one, Run lets it work.
type Executor struct {
	Config
	// outcomes ends many actions at the cost of one.
	outcomes *eventlog.Group
	inForce  inForce
	holds    decide.Holds
	heard    heard
	wanted   wanted
	overdue  overdue
}

// New checks the configuration. The error names all that is wrong with it.
func New(c Config) (*Executor, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure executor: %w", err)
	}
	return &Executor{Config: c, outcomes: eventlog.NewGroup(c.Log)}, nil
}

// Run takes actions up until ctx ends, and then returns nil when every handler
// has, but for those that ignored their deadline. Nothing is recorded of what it was running then: those actions are given
// back. An error means that no more actions can be had.
func (e *Executor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newScheduler(e)
	lost := make(chan error, 1)
	var pump, watcher sync.WaitGroup
	pump.Go(func() { lost <- e.pump(ctx, s.arrivals) })
	watcher.Go(func() { e.watchInventories(ctx) })
	err := s.loop(ctx, lost)
	cancel()
	// The pump ends first, so that nothing given back comes straight to us again.
	pump.Wait()
	watcher.Wait()
	s.workers.Wait()
	s.giveBack()
	return err
}

// pump reads on even while all slots are taken: the delivery that everybody
// waits for may be the next one.
func (e *Executor) pump(ctx context.Context, to chan<- eventlog.Delivery) error {
	for {
		d, err := e.Actions.Next(ctx)
		if err != nil {
			return fmt.Errorf("take next action: %w", err)
		}
		select {
		case to <- d:
		case <-ctx.Done():
			_ = d.Retry(0) // whoever runs next gets it; the server would hand it out anyway
			return ctx.Err()
		}
	}
}
