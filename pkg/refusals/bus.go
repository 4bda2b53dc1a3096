package refusals

import (
	"context"

	"github.com/fleetfold/fleetfold/pkg/buslog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// HearBus records what the NATS server refused, as tally sums it up, until ctx ends.
// The recorder must not be Shared: each server tells one process. counted hears of
// all of it; it may be nil.
func (r *Recorder) HearBus(ctx context.Context, tally *buslog.Tally, counted func(buslog.Refused)) {
	for {
		all, err := tally.Next(ctx)
		if err != nil {
			return
		}
		for _, d := range all {
			if counted != nil {
				counted(d)
			}
			r.AddMany(events.RefusedBus, d.Node, &fleet.Refusal{Reason: d.Reason, Detail: d.Detail}, d.Count)
		}
	}
}
