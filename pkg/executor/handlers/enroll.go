package handlers

import (
	"context"
	"errors"

	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// enroller carries out EnrollNode.
type enroller struct {
	Config
	issuer *issuer
}

var errAgentGone = errors.New("the agent's process ended")

func (h *enroller) Handle(ctx context.Context, t executor.Task) (executor.Result, error) {
	gone, err := h.Driver.Start(ctx, t.Node.ID)
	if err != nil {
		return executor.Result{}, executor.Failed(ReasonDriver, "start agent: %v", err)
	}
	if err := h.awaitPresence(ctx, t, gone); err != nil {
		return executor.Result{}, err
	}
	// A node that comes back with its key and a valid credential signs at once.
	if _, signs, _ := nodeNow(h.View, t.Node.ID); signs {
		return executor.Result{}, nil
	}
	return h.issuer.Handle(ctx, t)
}

// awaitPresence also ends when the agent's process does, since it will not
// come up by waiting longer.
func (h *enroller) awaitPresence(ctx context.Context, t executor.Task, gone <-chan error) error {
	waitCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watching := make(chan struct{})
	var exit error
	go func() {
		defer close(watching)
		select {
		case exit = <-gone: // never, for a driver that cannot know
			cancel(errAgentGone)
		case <-waitCtx.Done():
		}
	}()
	err := h.View.Wait(waitCtx, func(s *projection.State) bool {
		node, ok := s.Node(t.Node.ID)
		return ok && node.Present
	})
	ended := errors.Is(context.Cause(waitCtx), errAgentGone)
	cancel(nil)
	<-watching
	switch {
	case err == nil:
		return nil
	case ended:
		return executor.Failed(ReasonAgentExited, "the agent ended before the node appeared: %v", exit)
	}
	return h.unless(ctx, t, "node did not appear", err)
}
