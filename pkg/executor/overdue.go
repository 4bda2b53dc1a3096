package executor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// overdueGrace is how long a handler may take to return once its deadline has
// passed. After that its action fails without it: nothing else of the fleet
// waits for a handler that heeds nothing.
const overdueGrace = time.Second

// overdue counts, by node, the handlers that run on behind their deadline. The
// empty id stands for the fleet.
type overdue struct {
	mu    sync.Mutex
	nodes map[fleet.NodeID]int
}

func (o *overdue) add(id fleet.NodeID, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.nodes == nil {
		o.nodes = make(map[fleet.NodeID]int)
	}
	if o.nodes[id] += n; o.nodes[id] == 0 {
		delete(o.nodes, id)
	}
}

func (o *overdue) has(id fleet.NodeID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.nodes[id] > 0
}

type ended struct {
	result Result
	err    error
}

// inTime runs the handler under ctx and waits for it, but not long beyond the
// end of the deadline, of which ctx is a child. A handler that was told to stop
// for another reason is waited for.
func (e *Executor) inTime(ctx, deadline context.Context, handler Handler, t Task) (Result, error) {
	done := make(chan ended, 1)
	go func() {
		result, err := guarded(ctx, handler, t)
		done <- ended{result, err}
	}()
	select {
	case r := <-done:
		return r.result, r.err
	case <-deadline.Done():
	}
	if !errors.Is(deadline.Err(), context.DeadlineExceeded) {
		r := <-done
		return r.result, r.err
	}
	grace := time.NewTimer(overdueGrace)
	defer grace.Stop()
	select {
	case r := <-done:
		return r.result, r.err
	case <-grace.C:
	}
	node := t.Flight.Action.ID
	e.overdue.add(node, 1)
	go func() {
		<-done
		e.overdue.add(node, -1)
	}()
	return Result{}, Failed(ReasonDeadlineExceeded, "the handler does not end, though its deadline of %s has passed", t.Timeout)
}
