package decide

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// Given is what a planner decides by, besides the log and the inventory. Record
// puts all of it into plan.decided, and GivenBy takes it from there.
type Given struct {
	// Settled, Waiting and SightSince are those of engine.Situation.
	Settled    bool
	Waiting    string
	SightSince time.Time
	// Now as the log will have it: in UTC, without a monotonic reading.
	Now time.Time
	// Safeguards and Policy must be valid.
	Safeguards engine.Safeguards
	Policy     engine.Policy
	// Shard whose part of the decision is asked for: what of it is to be done to
	// its nodes, under the partition that is in force on the fold; nothing where
	// that has no such shard. Empty: all of the decision, whoever has which part.
	Shard string
}

// Record is a plan.decided with what is given and the version of the rule, and
// nothing else.
func (g Given) Record() *events.PlanDecided {
	return &events.PlanDecided{
		RuleVersion: engine.RuleVersion, DecidedAt: g.Now,
		Settled: g.Settled, Waiting: g.Waiting, SightSince: g.SightSince,
		Safeguards: Recorded(g.Safeguards), Policy: RecordedPolicy(g.Policy),
		Shard: g.Shard,
	}
}

// GivenBy is what a published plan was decided by. Its thresholds are as they
// were recorded, valid or not.
func GivenBy(d *events.PlanDecided) Given {
	return Given{
		Settled: d.Settled, Waiting: d.Waiting, SightSince: plain(d.SightSince), Now: plain(d.DecidedAt),
		Safeguards: safeguardsOf(d.Safeguards), Policy: policyOf(d.Policy),
		Shard: d.Shard,
	}
}

// plain drops the zone that a recorded time may have.
func plain(t time.Time) time.Time { return t.Round(0).UTC() }
