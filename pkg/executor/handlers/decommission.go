package handlers

import (
	"context"
	"errors"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// ReasonDecommissioned is why an agent is stopped and a credential revoked.
const ReasonDecommissioned fleet.Reason = "decommissioned"

// ReasonTokens is why a decommission fails whose node could come back with what
// let it in before.
const ReasonTokens fleet.Reason = "tokens_not_forgotten"

// Tokens of nodes, which a decommission ends.
type Tokens interface {
	// Forget ends what the node has shown; nothing, if it has shown none.
	Forget(ctx context.Context, node fleet.NodeID) error
}

// decommissioner carries out DecommissionNode.
type decommissioner struct{ Config }

func (h *decommissioner) Handle(ctx context.Context, t executor.Task) (executor.Result, error) {
	id := t.Flight.Action.ID
	h.stop(ctx, t, id)
	if ctx.Err() != nil {
		return executor.Result{}, ctx.Err()
	}
	if err := h.Driver.Remove(ctx, id); err != nil {
		return executor.Result{}, executor.Failed(ReasonDriver, "remove agent: %v", err)
	}
	if h.Tokens != nil {
		if err := h.Tokens.Forget(ctx, id); err != nil {
			return executor.Result{}, executor.Failed(ReasonTokens, "forget join tokens: %v", err)
		}
	}
	return executor.Result{Closing: h.closing(t, id)}, nil
}

// stop asks the agent to go and waits until it has. A node whose agent does not
// answer is removed all the same: most often it is dead, and if it is not, it
// appears again and is decommissioned again.
func (h *decommissioner) stop(ctx context.Context, t executor.Task, id fleet.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, h.StopTimeout)
	defer cancel()
	answer, err := command(ctx, h.Commands, t.Fact(h.Now(), events.TypeNodeStopRequested, &events.NodeStopRequested{
		Reason: ReasonDecommissioned, Forget: true,
	}))
	switch {
	case errors.Is(err, eventlog.ErrNoAgent):
		h.Logger.Debug().Str(field.Node, string(id)).Msg("no agent to stop")
		return
	case err == nil && answer.Error != "":
		err = errors.New(answer.Error)
	case err == nil:
		// Its lease ends with a farewell. Removed before that, the node might be
		// taken for one that appears again.
		err = h.View.Wait(ctx, func(s *projection.State) bool {
			node, ok := s.Node(id)
			return !ok || !node.Present
		})
	}
	if err != nil {
		h.Logger.Warn().Err(err).Str(field.Node, string(id)).Msg("agent did not stop, removing node all the same")
	}
}

// closing ends the node's credentials and its epoch. Only the first fact can be
// fenced; the batch is one, so the fence guards all of it.
func (h *decommissioner) closing(t executor.Task, id fleet.NodeID) []eventlog.Entry {
	node, _, last := nodeNow(h.View, id)
	var entries []eventlog.Entry
	for _, serial := range serials(node) {
		entries = append(entries, eventlog.Entry{Event: t.Fact(h.Now(), events.TypeCredentialRevoked, &events.CredentialRevoked{
			Epoch: node.Epoch, Serial: serial, Reason: ReasonDecommissioned, Action: t.Flight.ID,
		}, serial)})
	}
	entries = append(entries, eventlog.Entry{Event: t.Fact(h.Now(), events.TypeNodeRemoved, &events.NodeRemoved{
		Epoch: node.Epoch, Action: t.Flight.ID,
	})})
	entries[0].Fence = eventlog.LastOnSubject(last)
	return entries
}

// serials of the credentials that could still be used.
func serials(node projection.Node) []string {
	var all []string
	if node.Proved != nil {
		all = append(all, node.Proved.Serial)
	}
	if node.Issued != nil && (node.Proved == nil || node.Proved.Serial != node.Issued.Serial) {
		all = append(all, node.Issued.Serial)
	}
	return all
}
