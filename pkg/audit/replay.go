package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Until is a history that ends before the first record for which past is true.
func Until(source Source, past func(eventlog.Record) bool) Source {
	return until{source, past}
}

type until struct {
	Source
	past func(eventlog.Record) bool
}

func (u until) Subjects() events.Subjects { return subjectsOf(u.Source) }

func (u until) Records(ctx context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for r, err := range u.Source.Records(ctx, after) {
			if err == nil && u.past(r) || !yield(r, err) {
				return
			}
		}
	}
}

// Change is what to decide by in place of what was given. The zero Change is none.
type Change struct {
	// Inventory in place of the one in force; nil: that.
	Inventory *fleet.Inventory
	// Thresholds in place of those that planners had; zero: those.
	Thresholds Thresholds
}

// None says that nothing is changed.
func (c Change) None() bool { return c.Inventory == nil && c.Thresholds == (Thresholds{}) }

// Point is a decision point of a history, and what would have been decided there
// with a change. What followed on it is as it was: a replay changes no fact.
type Point struct {
	Decision
	// Inventory to decide with, and Would what is decided with the change; both nil without one.
	Inventory *fleet.Inventory
	Would     *decide.Decided
}

// Show is what a replay is shown to. Each function may be nil; an error ends it.
type Show struct {
	// Point is called with the fold of the decision's basis.
	Point func(*projection.State, Point) error
	// Record is called for each record, once it is part of the fold.
	Record func(*projection.State, eventlog.Record) error
}

// Replay walks through a history and shows it, and returns the fold of all of it.
// It verifies nothing. What was decided by a rule that this build does not know is
// an error where it would have to be decided again.
func Replay(ctx context.Context, source Source, c Change, show Show) (*projection.State, error) {
	r := &replay{ctx: ctx, Change: c, inventories: view.NewInventories(source.Inventory), deciders: make(deciders)}
	return Walk(ctx, source, Visitor{
		Decision: func(st *projection.State, d Decision) error {
			p, err := r.point(st, d)
			if err != nil {
				return fmt.Errorf("replay plan %s at sequence %d: %w", d.Plan, d.Sequence, err)
			}
			if show.Point == nil {
				return nil
			}
			return show.Point(st, p)
		},
		Folded: func(st *projection.State, r eventlog.Record, _ projection.Change) error {
			if show.Record == nil {
				return nil
			}
			return show.Record(st, r)
		},
	})
}

// replay is one run.
type replay struct {
	Change
	ctx         context.Context
	inventories *view.Inventories
	deciders    deciders
	desired     *decide.Desired
}

func (r *replay) point(st *projection.State, d Decision) (Point, error) {
	p := Point{Decision: d}
	if r.None() {
		return p, nil
	}
	if p.Inventory = r.Inventory; p.Inventory == nil {
		inv, err := r.inventories.Get(r.ctx, d.InventoryDigest)
		if err != nil {
			return p, err
		}
		p.Inventory = inv
	}
	if _, ok := decide.RuleFor(d.RuleVersion); !ok {
		return p, fmt.Errorf("rule version %s is not known to this build", d.RuleVersion)
	}
	given, err := r.Thresholds.Over(decide.GivenBy(d.PlanDecided))
	if err != nil {
		return p, err
	}
	if r.desired == nil || r.desired.Inventory != p.Inventory {
		r.desired = decide.NewDesired(p.Inventory)
	}
	would := r.deciders.of(d).Plan(st, r.desired, given)
	p.Would = &would
	return p, nil
}

// AtEnd is what planners who are settled would decide on a fold, by the thresholds
// of the newest plan and with the change. inv is the inventory in force.
func (c Change) AtEnd(st *projection.State, inv *fleet.Inventory, now time.Time) (decide.Decided, error) {
	if c.Inventory != nil {
		inv = c.Inventory
	}
	given, err := c.Thresholds.Over(decide.Given{
		Settled: true, Now: plainTime(now), Safeguards: decide.Safeguards(st), Policy: decide.Policy(st),
	})
	if err != nil {
		return decide.Decided{}, err
	}
	return decide.Plan(st, inv, given), nil
}

func plainTime(t time.Time) time.Time { return t.Round(0).UTC() }

// Divergence is where a changed decision differs from what was published.
type Divergence struct {
	Sequence uint64       `json:"sequence"`
	Basis    uint64       `json:"basis"`
	Plan     fleet.PlanID `json:"plan"`
	At       time.Time    `json:"decided_at"`
	// Added would have been published and was not; Missing the other way round.
	Added   []fleet.Action `json:"added"`
	Missing []fleet.Action `json:"missing"`
	// Held would have been held, and was published or not wanted.
	Held []fleet.Held `json:"held"`
}

// Diverges compares; false if the same actions would have been published, and
// nothing held that was not held.
func (p Point) Diverges() (Divergence, bool) {
	d := Divergence{
		Sequence: p.Sequence, Basis: p.Basis, Plan: p.Plan, At: p.DecidedAt.UTC(),
		Added: []fleet.Action{}, Missing: []fleet.Action{}, Held: []fleet.Held{},
	}
	if p.Would == nil {
		return d, false
	}
	was, would := make(map[fleet.Action]bool), make(map[fleet.Action]bool)
	for _, a := range p.Actions {
		was[fleet.Action{Type: a.Type, ID: a.ID}] = true
	}
	for _, s := range p.Would.Publish {
		would[s.Action] = true
		if !was[s.Action] {
			d.Added = append(d.Added, s.Action)
		}
	}
	for _, a := range p.Actions {
		if need := (fleet.Action{Type: a.Type, ID: a.ID}); !would[need] {
			d.Missing = append(d.Missing, need)
		}
	}
	d.Held = append(d.Held, p.newlyHeld()...)
	return d, len(d.Added)+len(d.Missing)+len(d.Held) > 0
}

// newlyHeld are those that were not held, as far as the plan lists what was.
func (p Point) newlyHeld() (held []fleet.Held) {
	if p.HeldTotal > len(p.Held) {
		return nil // what is not listed may have been held as well
	}
	was := make(map[fleet.Action]bool)
	for _, h := range p.Held {
		was[h.Action] = true
	}
	for _, h := range p.Would.Held {
		if !was[h.Action] {
			held = append(held, h)
		}
	}
	return held
}

// ErrThresholds means that a change leaves thresholds that are out of their ranges.
var ErrThresholds = errors.New("thresholds do not go together")
