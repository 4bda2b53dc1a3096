package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/inventorydiff"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// candidate is an inventory that was read from a file.
type candidate struct {
	// text of the file; nil for what is in force.
	text   []byte
	inv    *fleet.Inventory
	digest string
}

// readCandidate reads an inventory that must be valid. Problems and warnings are
// said on standard error.
func readCandidate(cmd *cobra.Command, name string) (candidate, error) {
	end := busy(cmd, "reading "+shown(name))
	text, inv, rep := inventory.Read(input(cmd, name))
	end()
	if err := printReport(cmd.ErrOrStderr(), name, rep); err != nil {
		return candidate{}, err
	}
	if !rep.Valid() {
		return candidate{}, invalid(name, rep)
	}
	return candidate{text, inv, inventory.Digest(text)}, nil
}

// inForce is the inventory in force on the fold.
func (l *live) inForce(ctx context.Context) (candidate, error) {
	inv, digest, err := inForce(ctx, l.view, l.inventories.Get)
	if err != nil {
		return candidate{}, err
	}
	if inv == nil {
		return candidate{}, nothingInForce()
	}
	return candidate{nil, inv, digest}, nil
}

// forecast is what becomes of a fleet once an inventory is applied, as of one
// sequence of its log.
type forecast struct {
	// ref and old are the inventory in force; old is nil for none.
	ref  projection.InventoryRef
	old  *fleet.Inventory
	seen planner.Seen
	// new is the inventory that was asked about, of digest.
	new    *fleet.Inventory
	digest string
	// changes lead from old to new.
	changes []inventorydiff.Change
	// then is the status under new.
	then status.Status
	// observed is what is observed now.
	observed fleet.ObservedState
}

// inForceAlready says that this very text is in force.
func (f forecast) inForceAlready() bool { return f.ref.Digest == f.digest }

// foresee applies an inventory to a copy of the fold, and asks the copy. So what
// counts anew with each generation (attempts, approvals) does in the answer, too.
// The safeguards are those of the newest plan, and planners are taken to be warm.
func foresee(ctx context.Context, l *live, c candidate) (forecast, error) {
	now := time.Now()
	if f, is := foreseeInForce(l.view, c, now); is {
		return f, nil
	}
	st, err := copyOf(l.view)
	if err != nil {
		return forecast{}, err
	}
	f := forecastOn(st, c)
	if f.ref.Digest != "" {
		if f.old, err = l.inventories.Get(ctx, f.ref.Digest); err != nil {
			return forecast{}, fmt.Errorf("get inventory in force: %w", err)
		}
	}
	if !f.inForceAlready() {
		applied := &events.Event{Type: events.TypeInventoryApplied, Time: now, Data: &events.InventoryApplied{Digest: f.digest, Generation: f.ref.Generation + 1}}
		if _, err := st.Apply(st.Sequence()+1, now, applied); err != nil {
			return forecast{}, fmt.Errorf("apply to a copy of the fold: %w", err)
		}
	}
	f.changes = inventorydiff.Of(f.old, f.new)
	f.then = status.Of(st, f.new, now)
	return f, nil
}

// foreseeInForce asks the fold itself, which is right if the inventory is in force
// there: a copy of a large fleet takes as long as folding it, and as much memory.
func foreseeInForce(v *view.View, c candidate, now time.Time) (f forecast, is bool) {
	v.Read(func(st *projection.State) {
		if is = st.Inventory().Digest == c.digest; is {
			f = forecastOn(st, c)
			f.old, f.then = c.inv, status.Of(st, c.inv, now)
		}
	})
	return f, is
}

func forecastOn(st *projection.State, c candidate) forecast {
	f := forecast{
		ref: st.Inventory(), new: c.inv, digest: c.digest, observed: *st.Observed(),
		seen: planner.Seen{Generation: st.Inventory().Generation, Last: st.LastInventory()},
	}
	f.observed.Nodes = append([]fleet.ObservedNode{}, f.observed.Nodes...)
	return f
}

// copyOf is the fold as it is now, id by id: no image of all of them is made.
func copyOf(v *view.View) (*projection.State, error) {
	still, _ := v.Still()
	var r projection.Restorer
	if err := r.Begin(still.Image); err != nil {
		return nil, fmt.Errorf("copy the fold: %w", err)
	}
	for id := range still.IDs() {
		if err := r.Add(&id); err != nil {
			return nil, fmt.Errorf("copy the fold: %w", err)
		}
	}
	return r.State(), nil
}

// forecastText shows the change and where it leads. At most so many actions are
// listed; 0 means all.
func forecastText(w io.Writer, f forecast, actions int) error {
	o := render.Options{Colour: render.Colour(w), MaxActions: actions}
	b := bufio.NewWriter(w)
	against := fmt.Sprintf("generation %d, %s", f.ref.Generation, logline.Digest(f.ref.Digest))
	if f.old == nil {
		against = "nothing: no inventory is in force yet"
	}
	switch {
	case f.inForceAlready():
		fmt.Fprintf(b, "In force already: %s\n", against)
	case len(f.changes) == 0:
		fmt.Fprintf(b, "No field differs from %s\n", against)
	default:
		fmt.Fprintf(b, "Changes against %s:\n\n", against)
	}
	if err := render.Changes(b, f.changes, o); err != nil {
		return err
	}
	fmt.Fprint(b, "\nActions that it leads to:\n\n")
	if err := planText(b, f.then, o); err != nil {
		return err
	}
	return b.Flush()
}

// planText is a plan and what of it does not happen at once.
func planText(w io.Writer, s status.Status, o render.Options) error {
	held, waiting := heldText(s)
	return errors.Join(render.Plan(w, s.Plan, s.BlockedBy, o), render.Held(w, held, o), render.Waiting(w, waiting, o), render.Stuck(w, s.Stuck, o))
}

// nothingInForce is said where something is asked about the inventory in force.
func nothingInForce() error {
	return cli.WithHint(errors.New("no inventory is in force"), "apply one with 'fleetfold apply FILE', or name one with --inventory")
}
