package planner

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// decision is what was decided on one fold.
type decision struct {
	basis, lastPlan uint64
	inventory       projection.InventoryRef
	plan            fleet.Plan
	dispatched      engine.Dispatched
	settled         bool
	at              time.Time
	// cutShort says that the newest plan announced more actions than followed.
	cutShort bool
}

// decide reconciles and publishes what is to be done now; it reports whether
// that was anything.
func (p *Planner) decide(ctx context.Context) (published bool, err error) {
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
	if len(d.dispatched.Publish) == 0 {
		p.wake = d.dispatched.Wake
		return false, nil
	}
	return true, p.publish(ctx, d)
}

// freshTimeout bounds the wait for the end of the log before a decision that
// needs it. A view that has stalled for so long decides nothing of the kind.
const freshTimeout = 5 * time.Second

// concludeFresh is conclude, on a fold that the log has confirmed to be whole
// where the decision needs that: for what cannot be taken back, since the
// plan's fence tells of other plans only and a view that lags would not know
// that a node came back; and where the fold ends inside a plan.
func (p *Planner) concludeFresh(ctx context.Context, inv *fleet.Inventory, ref projection.InventoryRef) (d decision, ok bool, err error) {
	d, ok = p.conclude(inv, ref)
	if !ok || !d.cutShort && !d.final() {
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
	return slices.ContainsFunc(d.dispatched.Publish, func(s engine.Step) bool {
		return s.Type == fleet.DecommissionNode || s.Type == fleet.EnableStrictEnforcement
	})
}

// conclude runs the pure decision on the present fold. ok is false when
// another inventory came into force meanwhile.
func (p *Planner) conclude(inv *fleet.Inventory, ref projection.InventoryRef) (d decision, ok bool) {
	p.View.Read(func(st *projection.State) {
		if st.Inventory() != ref {
			return
		}
		ok = true
		d = decision{basis: st.Sequence(), lastPlan: st.LastPlan(), inventory: ref, at: p.Now(), cutShort: st.InsidePlan()}
		p.Metrics.observe(st.Observed())
		d.plan = engine.Reconcile(inv, st.Observed())
		p.hold(&d, st, inv)
	})
	return d, ok
}

// hold divides the plan into what is published now and what is held.
func (p *Planner) hold(d *decision, st *projection.State, inv *fleet.Inventory) {
	situation := p.situation(st, inv, d.at)
	d.settled = situation.Settled
	allowed, held := engine.Hold(d.plan, situation, p.Safeguards)
	generation := d.inventory.Generation
	d.dispatched = engine.Dispatch(allowed, ledger{st.Ledger(), generation}, generation, p.Policy, d.at)
	if ends := engine.HoldEnds(held, situation, p.Safeguards); !ends.IsZero() && (d.dispatched.Wake.IsZero() || ends.Before(d.dispatched.Wake)) {
		d.dispatched.Wake = ends
	}
	// What a safeguard holds comes first: if not all can be listed, it is of
	// more interest than what only waits its turn.
	d.dispatched.Held = append(held, d.dispatched.Held...)
}

// situation is what the plan of a fold is held against.
func (p *Planner) situation(st *projection.State, inv *fleet.Inventory, now time.Time) engine.Situation {
	s := engine.Situation{Desired: inv, Observed: st.Observed(), Facts: st, Settled: p.sensor.settled(), Now: now}
	if !s.Settled {
		s.Waiting = "waiting until every present node was seen"
		if p.sensor.caughtUp {
			s.Waiting += ", at the latest until " + p.sensor.warmAt.UTC().Format(time.RFC3339)
		}
	}
	return s
}

// publish appends the plan as one batch: whole or not at all, and only if no
// other plan came since the fold it was decided on.
func (p *Planner) publish(ctx context.Context, d decision) error {
	entries, planID := d.batch(p.Policy, p.Safeguards)
	last, err := p.Log.Append(ctx, entries...)
	if err != nil {
		return fmt.Errorf("publish plan %s: %w", planID, err)
	}
	p.awaiting = last
	p.Metrics.plans.Inc()
	for _, s := range d.dispatched.Publish {
		p.Metrics.actions.WithLabelValues(string(s.Type)).Inc()
	}
	p.Logger.Info().Str(field.Plan, string(planID)).Uint64(field.Basis, d.basis).Uint64(field.Generation, d.inventory.Generation).
		Int("actions", len(d.dispatched.Publish)).Int(field.Held, len(d.dispatched.Held)).Msg("published a plan")
	return nil
}

func (d decision) batch(policy engine.Policy, guards engine.Safeguards) ([]eventlog.Entry, fleet.PlanID) {
	steps := d.dispatched.Publish
	planID := engine.PlanIDFor(steps)
	decided := &events.PlanDecided{
		Plan: planID, Basis: d.basis, InventoryDigest: d.inventory.Digest, Generation: d.inventory.Generation,
		RuleVersion: engine.RuleVersion, DecidedAt: d.at,
		Settled: d.settled, Safeguards: recordedSafeguards(guards), Policy: recordedPolicy(policy),
		Held: d.dispatched.Held[:min(len(d.dispatched.Held), events.MaxHeldListed)], HeldTotal: len(d.dispatched.Held),
	}
	entries := make([]eventlog.Entry, 1, len(steps)+1)
	for i, s := range steps {
		data := &events.ActionRequested{
			Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation,
		}
		decided.Actions = append(decided.Actions, *data)
		entries = append(entries, eventlog.Entry{Event: &events.Event{
			ID: string(s.ActionID), Source: events.SourcePlanner, Type: events.TypeOfAction(s.Type),
			Node: s.ID, Time: d.at, Data: data,
			Step: &events.Step{Plan: planID, Step: i + 1, Steps: len(steps), Basis: d.basis},
		}})
	}
	entries[0] = eventlog.Entry{
		Event: &events.Event{
			ID: string(planID), Source: events.SourcePlanner, Type: events.TypePlanDecided, Time: d.at, Data: decided,
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

func recordedPolicy(p engine.Policy) events.DispatchPolicy {
	return events.DispatchPolicy{
		MaxInFlight: p.MaxInFlight, Jitter: p.Jitter,
		BackoffBaseSeconds: p.BackoffBase.Seconds(), BackoffCapSeconds: p.BackoffCap.Seconds(),
	}
}

func recordedSafeguards(g engine.Safeguards) events.HoldSafeguards {
	return events.HoldSafeguards{
		RemovalMin: g.RemovalMin, RemovalFraction: g.RemovalFraction,
		BlindFraction: g.BlindFraction, BlindMin: g.BlindMin, LostWaitSeconds: g.LostWait.Seconds(),
		FlapThreshold: g.FlapThreshold, FlapHalfLifeSeconds: g.FlapHalfLife.Seconds(),
	}
}

// account shows what the plan wants and what is held, in metrics, and in the
// log when the account changed.
func (p *Planner) account(d decision) {
	byReason := make(map[fleet.Reason]int)
	details := make(map[fleet.Reason]string) // of the first that is held for it
	for _, h := range d.dispatched.Held {
		if byReason[h.Reason]++; byReason[h.Reason] == 1 {
			details[h.Reason] = h.Detail
		}
	}
	p.Metrics.account(len(d.plan.Actions), byReason)
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

// ledger is the projection's ledger as Dispatch asks it: attempts count at the
// node's present epoch and the inventory's present generation.
type ledger struct {
	*projection.Ledger
	generation uint64
}

func (l ledger) Attempts(need engine.Need) engine.Attempts {
	a := l.AttemptsAt(need, l.Epoch(need.ID), l.generation)
	return engine.Attempts{
		Published: a.Published, Failures: a.Failures, LastOutcome: a.LastOutcome, LastRefused: a.LastRefused,
	}
}
