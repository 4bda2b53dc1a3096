package planner

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// decision is what was decided on one fold.
type decision struct {
	basis, lastPlan uint64
	// partition is the sequence of the one decided under; 0: none.
	partition uint64
	inventory projection.InventoryRef
	given     decide.Given
	decide.Decided
	// cutShort says that the newest plan announced more actions than followed.
	cutShort bool
	// enrolsLost says that somebody is enrolled who may have come back.
	enrolsLost bool
	// found is the fleet in numbers, but for what is held.
	found eventlog.FleetReport
}

// decide reconciles and publishes what is to be done now; it reports whether
// that was anything.
func (p *Planner) decide(ctx context.Context) (published bool, err error) {
	if err := p.mayDecide(); err != nil {
		return false, err
	}
	var ref projection.InventoryRef
	p.View.Read(func(st *projection.State) { ref = st.Inventory() })
	if ref.Digest == "" {
		return false, nil // nobody has said yet what the fleet should be
	}
	inv, err := p.Inventories.Get(ctx, ref.Digest)
	if err != nil {
		return false, fmt.Errorf("get inventory %s: %w", ref.Digest, err)
	}
	d, ok, err := p.concludeFresh(ctx, inv, ref)
	if err != nil || !ok {
		return false, err
	}
	p.account(d)
	p.tellStuck(d)
	if len(d.Publish) == 0 {
		p.wake = d.Wake
		return false, nil
	}
	return true, p.publish(ctx, d)
}

// freshTimeout bounds the wait for the end of the log before a decision that
// needs it. A view that has stalled for so long decides nothing of the kind.
const freshTimeout = 5 * time.Second

// concludeFresh is conclude, on a fold that the log has confirmed to be whole
// where the decision needs that: for what cannot be taken back and for enrolling
// the lost, since the plan's fence tells of other plans only and a view that lags
// would not know that a node came back; and where the fold ends inside a plan.
func (p *Planner) concludeFresh(ctx context.Context, inv *fleet.Inventory, ref projection.InventoryRef) (d decision, ok bool, err error) {
	d, ok = p.conclude(inv, ref)
	if !ok || !d.cutShort && !d.final() && !d.enrolsLost {
		return d, ok, nil
	}
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if err := p.View.CatchUp(ctx); err != nil {
		return d, false, fmt.Errorf("catch up before deciding: %w", err)
	}
	d, ok = p.conclude(inv, ref)
	if ok && d.cutShort && p.cutShort != d.lastPlan {
		p.cutShort = d.lastPlan
		p.Logger.Warn().Uint64(field.Seq, d.lastPlan).Msg("a plan announces actions that do not follow, deciding without them")
	}
	return d, ok, nil
}

// final says that the decision would publish what cannot be taken back: a
// removal, or the flip to strict.
func (d decision) final() bool {
	return slices.ContainsFunc(d.Publish, func(s engine.Step) bool {
		return s.Type == fleet.DecommissionNode || s.Type == fleet.EnableStrictEnforcement
	})
}

// conclude runs the pure decision on the present fold. ok is false when
// another inventory came into force meanwhile.
func (p *Planner) conclude(inv *fleet.Inventory, ref projection.InventoryRef) (d decision, ok bool) {
	p.View.Read(func(st *projection.State) {
		if st.Inventory() != ref || !st.Partition().Knows(p.Shard) {
			return
		}
		ok = true
		d = decision{
			basis: st.Sequence(), lastPlan: st.LastPlanOf(p.Shard), partition: st.Partition().Sequence,
			inventory: ref, cutShort: st.InsidePlan(),
		}
		p.Metrics.observe(st)
		d.found = found(st)
		d.given = p.given(st, p.Now())
		d.Decided = p.decider.Plan(st, p.desired(inv), d.given)
		if p.sight.regained(d.Decided, d.given.Now) { // decided as if it had been known before
			d.given.SightSince = p.sight.since
			d.Decided = p.decider.Plan(st, p.desired(inv), d.given)
		}
		d.enrolsLost = slices.ContainsFunc(d.Publish, func(s engine.Step) bool { return s.Type == fleet.EnrollNode && st.Lost(s.ID) })
	})
	return d, ok
}

// given is what this planner decides by now. The time is as the log will have
// it, without a zone and without the clock of this process.
func (p *Planner) given(st *projection.State, now time.Time) decide.Given {
	now = now.Round(0).UTC()
	g := decide.Given{
		Settled: p.sensor.settled(), SightSince: p.sight.since, Now: now,
		Safeguards: p.safeguardsOn(st), Policy: p.Policy, Shard: p.Shard,
	}
	if !g.Settled {
		g.Waiting = "waiting until every present node was seen"
		if p.sensor.caughtUp {
			g.Waiting += ", at the latest until " + p.sensor.warmAt.UTC().Format(time.RFC3339)
		}
	}
	return g
}

// found is what a fold says of the fleet in numbers.
func found(st *projection.State) eventlog.FleetReport {
	ref := st.Inventory()
	f := eventlog.FleetReport{Sequence: st.Sequence(), Digest: ref.Digest, Generation: ref.Generation, Strict: st.StrictEnforced(), InFlight: st.Ledger().Outstanding()}
	f.Observed, f.Present, f.Signing = st.Counts()
	return f
}

// publish appends the plan as one batch: whole or not at all, and only if no
// other plan came since the fold it was decided on.
func (p *Planner) publish(ctx context.Context, d decision) error {
	entries, planID := d.batch()
	last, err := p.Log.Append(ctx, entries...)
	if err != nil {
		return fmt.Errorf("publish plan %s: %w", planID, err)
	}
	p.awaiting = last
	p.Metrics.plans.Inc()
	p.published.Add(1)
	for _, s := range d.Publish {
		p.Metrics.actions.WithLabelValues(string(s.Type)).Inc()
	}
	p.Logger.Info().Str(field.Plan, string(planID)).Uint64(field.Basis, d.basis).Uint64(field.Generation, d.inventory.Generation).
		Int("actions", len(d.Publish)).Int(field.Held, len(d.Held)).Msg("published a plan")
	return nil
}

func (d decision) batch() ([]eventlog.Entry, fleet.PlanID) {
	steps, at := d.Publish, d.given.Now
	planID := engine.PlanIDFor(steps)
	decided := d.given.Record()
	decided.Plan, decided.Basis, decided.Partition = planID, d.basis, d.partition
	decided.InventoryDigest, decided.Generation = d.inventory.Digest, d.inventory.Generation
	decided.Held, decided.HeldTotal = d.Held[:min(len(d.Held), events.MaxHeldListed)], len(d.Held)
	entries := make([]eventlog.Entry, 1, len(steps)+1)
	for i, s := range steps {
		data := &events.ActionRequested{
			Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation,
		}
		decided.Actions = append(decided.Actions, *data)
		entries = append(entries, eventlog.Entry{Event: &events.Event{
			ID: string(s.ActionID), Source: events.SourcePlanner, Type: events.TypeOfAction(s.Type),
			Node: s.ID, Time: at, Data: data,
			Step: &events.Step{Plan: planID, Step: i + 1, Steps: len(steps), Basis: d.basis},
		}})
	}
	entries[0] = eventlog.Entry{
		Event: &events.Event{
			ID: string(planID), Source: events.SourcePlanner, Type: events.TypePlanDecided, Time: at, Data: decided,
		},
		Fence: d.fence(),
	}
	return entries, planID
}

// fence holds while no other plan was published. Where the fold ends inside a
// plan that does not do: the rest of it may be on the log, and would be
// published twice. Then nothing at all may have come.
func (d decision) fence() eventlog.Fence {
	if d.cutShort {
		return eventlog.LastInLog(d.basis)
	}
	return eventlog.LastOnSubject(d.lastPlan)
}

// account shows what the plan wants and what is held, in metrics, and in the
// log when the account changed.
func (p *Planner) account(d decision) {
	byReason := make(map[fleet.Reason]int)
	details := make(map[fleet.Reason]string) // of the first that is held for it
	for _, h := range d.Held {
		if byReason[h.Reason]++; byReason[h.Reason] == 1 {
			details[h.Reason] = h.Detail
		}
	}
	p.Metrics.account(len(d.Plan.Actions), byReason)
	found := d.found
	found.Wanted, found.Held, found.Stuck = len(d.Plan.Actions), byReason, len(d.Stuck)
	found.Converged = d.Plan.Empty() && found.InFlight == 0
	p.found.Store(&found)
	reasons := slices.Sorted(maps.Keys(byReason))
	var counts, why []string
	for _, reason := range reasons {
		counts = append(counts, fmt.Sprintf("%s=%d", reason, byReason[reason]))
		why = append(why, details[reason])
	}
	if now := strings.Join(counts, " "); now != p.withheld {
		p.withheld = now
		if now != "" {
			p.Logger.Info().Str(field.HeldBy, now).Strs(field.Why, why).Uint64(field.Basis, d.basis).Msg("actions are held")
		}
	}
}
