package executor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// freshFor is how long ago the fold may have been whole on which an action begins
// that can be taken back.
const freshFor = 10 * time.Millisecond

// heard is the newest that is known of the end of the log: it was no earlier than
// at last, at some moment after at. Who asks is told so, and so is who appends.
type heard struct {
	mu   sync.Mutex
	last uint64
	at   time.Time
}

func (h *heard) note(last uint64, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.After(h.at) {
		h.last, h.at = max(last, h.last), at
	}
}

func (h *heard) get() (last uint64, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last, h.at
}

// catchUp folds to the end of the log, unless it is known that the fold was there a
// moment ago and that is enough.
func (e *Executor) catchUp(ctx context.Context, h *held) error {
	if !h.again && time.Since(h.whole) <= freshFor && !e.final(h) {
		return nil
	}
	asked := time.Now()
	if err := e.View.CatchUp(ctx); err != nil {
		return fmt.Errorf("fold to the end of the log: %w", err)
	}
	var folded uint64
	e.View.Read(func(s *projection.State) { folded = s.Sequence() })
	e.heard.note(folded, asked)
	return nil
}

// final says that an action cannot be taken back, or is that of a node that may be
// back: planners decide on it on the end of the log only, and so do executors.
func (e *Executor) final(h *held) bool {
	switch h.request.Type {
	case fleet.DecommissionNode, fleet.EnableStrictEnforcement:
		return true
	case fleet.EnrollNode:
		lost := false
		e.View.Read(func(s *projection.State) { lost = s.Lost(h.request.ID) })
		return lost
	}
	return false
}
