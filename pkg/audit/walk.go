package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// Decision is a point of a history at which a planner decided.
type Decision struct {
	// Sequence of the plan on the log.
	Sequence uint64
	*events.PlanDecided
}

// Visitor is shown a history by Walk. Each function may be nil; an error ends the
// walk. The state is Walk's own, and moves on when the function returns.
type Visitor struct {
	// Decision is called with the fold of everything up to the decision's basis.
	Decision func(*projection.State, Decision) error
	// Skipped is called in its place where a plan names a basis that was passed: it
	// lies before that of the plan before it, or is not before the plan.
	Skipped func(Decision) error
	// Record is called with the fold of everything before the record.
	Record func(before *projection.State, r eventlog.Record) error
	// Folded is called once the record is part of the fold.
	Folded func(*projection.State, eventlog.Record, projection.Change) error
}

// Walk folds a history from its first record and shows it to v, and returns the
// fold of all of it. It fails with a *Gap where a sequence is missing, and returns
// the fold up to there.
func Walk(ctx context.Context, source Source, v Visitor) (*projection.State, error) {
	w := newWalk(ctx, source)
	w.visitor = v
	defer w.close()
	for {
		plan, ok := w.plan()
		if !ok {
			break
		}
		if err := w.decision(plan); err != nil {
			return w.state, err
		}
	}
	err := w.foldTo(^uint64(0))
	if err == nil && w.err != nil {
		err = w.err
	}
	return w.state, err
}

// Gap says that a sequence is missing. It is an eventlog.ErrGap.
type Gap struct{ Want, Found uint64 }

func (g *Gap) Error() string {
	return fmt.Sprintf("sequence %d stands where %d was to follow", g.Found, g.Want)
}

// Unwrap makes it one.
func (*Gap) Unwrap() error { return eventlog.ErrGap }

type walk struct {
	*window
	subjects events.Subjects
	state    *projection.State
	visitor  Visitor
	// shards are folds of their own, see decisionOf; nil in a history of a fleet
	// that was one throughout.
	shards map[string]*walk
}

func newWalk(ctx context.Context, source Source) *walk {
	return &walk{window: newWindow(ctx, source), subjects: subjectsOf(source), state: projection.New()}
}

func (w *walk) close() {
	w.window.close()
	for _, of := range w.shards {
		of.close()
	}
}

// decision folds up to the basis of a plan.
func (w *walk) decision(r eventlog.Record) error {
	d := Decision{r.Sequence, r.Event.Data.(*events.PlanDecided)}
	if d.Shard != "" || w.shards != nil {
		return w.decisionOf(d)
	}
	if d.Basis < w.state.Sequence() || d.Basis >= r.Sequence {
		if w.visitor.Skipped == nil {
			return nil
		}
		return w.visitor.Skipped(d)
	}
	if err := w.foldTo(d.Basis); err != nil || w.visitor.Decision == nil {
		return err
	}
	return w.visitor.Decision(w.state, d)
}

// decisionOf shows a decision of a fleet that is, or was, divided. The fence of a
// shard's plans makes their bases grow, and says nothing of those of others: so
// each shard has a fold of its own, which follows from basis to basis, and the
// walk's own goes along with all of them. It begins when the first such plan is
// met, and reads the history again from its start.
func (w *walk) decisionOf(d Decision) error {
	if w.shards == nil {
		w.shards = make(map[string]*walk)
	}
	of := w.shards[d.Shard]
	if of == nil {
		of = newWalk(w.ctx, w.source)
		w.shards[d.Shard] = of
	}
	if d.Basis < of.state.Sequence() || d.Basis >= d.Sequence {
		if w.visitor.Skipped == nil {
			return nil
		}
		return w.visitor.Skipped(d)
	}
	if err := errors.Join(w.foldTo(d.Basis), of.foldTo(d.Basis)); err != nil || w.visitor.Decision == nil {
		return err
	}
	if at := of.state.Sequence(); at < d.Basis {
		return fmt.Errorf("read the history again for shard %q up to %d: it ended at %d: %w", d.Shard, d.Basis, at, cmp.Or(of.err, io.ErrUnexpectedEOF))
	}
	return w.visitor.Decision(of.state, d)
}

// foldTo folds up to a sequence, or to the end where that comes first.
func (w *walk) foldTo(sequence uint64) error {
	for w.state.Sequence() < sequence {
		r, ok := w.next()
		if !ok {
			return nil
		}
		if err := w.fold(r); err != nil {
			return err
		}
	}
	return w.ctx.Err()
}

func (w *walk) fold(r eventlog.Record) error {
	if want := w.state.Sequence() + 1; r.Sequence != want {
		return &Gap{Want: want, Found: r.Sequence}
	}
	if w.visitor.Record != nil {
		if err := w.visitor.Record(w.state, r); err != nil {
			return err
		}
	}
	change, err := snapshot.Fold(w.state, w.subjects, r)
	if err == nil && w.visitor.Folded != nil {
		err = w.visitor.Folded(w.state, r, change)
	}
	return err
}
