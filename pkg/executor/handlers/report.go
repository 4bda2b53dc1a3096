package handlers

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// takeReport puts onto the log what a node says that it has refused. The subject
// says which node that is, and nothing is said of anybody else: so it needs neither
// a signature, which a node that has lost its key could not make, nor a fold that is
// whole.
func (r *Renewer) takeReport(ctx context.Context, e *events.Event, d *events.RefusalReported) (*events.Event, error) {
	if err := r.reports.admit(e.Node, r.Now()); err != nil {
		return nil, err
	}
	if err := r.belongs(ctx, e.Node); err != nil {
		return nil, err
	}
	for _, refused := range d.Refused {
		reason := refused.Reason
		if !receiver.KnownReason(reason) && !identity.IsFileReason(reason) {
			reason = events.RefusedOthers // nobody may fill the log with words of their own
		}
		r.metrics.report(refused.Channel, reason, refused.Count)
		if r.Refusals != nil {
			r.Refusals.AddMany(refused.Channel, e.Node, &fleet.Refusal{Reason: reason, Detail: refused.Detail}, refused.Count)
		}
	}
	r.Logger.Debug().Str(field.Node, string(e.Node)).Int("kinds", len(d.Refused)).Msg("report of refusals taken")
	return r.tellNode(e.Node, events.TypeCommandAnswered, &events.CommandAnswered{Taken: true}, e.ID), nil
}

// belongs refuses those who are neither observed nor desired.
func (r *Renewer) belongs(ctx context.Context, id fleet.NodeID) error {
	var digest string
	var observed bool
	r.View.Read(func(s *projection.State) {
		_, observed = s.Node(id)
		digest = s.Inventory().Digest
	})
	if observed {
		return nil
	}
	if digest != "" {
		inventory, err := r.Inventories.Get(ctx, digest)
		if err != nil {
			return fmt.Errorf("get inventory %s: %w", digest, err)
		}
		if desired, _ := find(inventory, id); desired != nil {
			return nil
		}
	}
	return &fleet.Refusal{Reason: RefusedNotDesired, Detail: "the node is neither observed nor named by the inventory in force"}
}
