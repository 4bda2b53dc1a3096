package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// awaiting waits for a generation to be carried out.
type awaiting struct {
	cmd  *cobra.Command
	live *live
	// generation that was applied, at sequence after.
	generation, after uint64
	timeout           time.Duration
}

// errBlocked says that nothing goes on by itself any more.
var errBlocked = errors.New("the fleet does not go on by itself")

// run returns the status at convergence. The progress is shown on a terminal.
func (a *awaiting) run() (status.Status, error) {
	ctx := a.cmd.Context()
	if a.timeout > 0 {
		c, cancel := context.WithTimeoutCause(ctx, a.timeout, errNotConverged)
		defer cancel()
		ctx = c
	}
	a.warnOfNobody(ctx)
	if err := a.live.view.CatchUp(ctx); err != nil {
		return status.Status{}, err
	}
	end := a.progress(ctx)
	s, err := a.until(ctx)
	end(s.Sequence)
	if err != nil && errors.Is(context.Cause(ctx), errNotConverged) {
		return s, cli.WithHint(fmt.Errorf("%w (%s): %s", errNotConverged, a.timeout, s.Missing()), hintWait)
	}
	return s, err
}

// warnOfNobody tells of a fleet that nobody works on; that may still change.
func (a *awaiting) warnOfNobody(ctx context.Context) {
	services, err := a.live.bus.Services(ctx)
	if err != nil {
		return // it is no more than a warning
	}
	answered := make(map[eventlog.ServiceKind]bool)
	for _, s := range services {
		answered[s.Kind] = true
	}
	for _, kind := range eventlog.ServiceKinds {
		if !answered[kind] {
			a.cmd.PrintErrf("warning: no %s answered: %s\n", kind, withoutService[kind])
		}
	}
}

// until looks at each fold. A generation that somebody has replaced is waited
// for no longer.
func (a *awaiting) until(ctx context.Context) (s status.Status, err error) {
	var again status.Again
	for {
		changed := a.live.view.Changed()
		err := read(ctx, a.live.view, a.live.inventories.Get, func(st *projection.State, inv *fleet.Inventory) {
			if s = again.Brief(st, inv, time.Now()); s.Converged || blocked(s) {
				s = status.Of(st, inv, time.Now()) // what is shown in the end has everything
			}
		})
		if err == nil {
			err = a.live.view.Err()
		}
		switch {
		case err != nil:
			return s, err
		case s.Sequence < a.after:
		case s.Inventory.Generation > a.generation:
			return s, fmt.Errorf("generation %d is in force by now: generation %d is not waited for any more", s.Inventory.Generation, a.generation)
		case s.Converged:
			return s, nil
		case blocked(s):
			return s, a.sayBlocked(s)
		}
		timer := time.NewTimer(lookEvery) // a hold may end by time alone
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return s, ctx.Err()
		}
		timer.Stop()
	}
}

// endsByItself says of a hold that time or an outcome ends it, if something goes
// on. The others wait for a person, or for nodes to come back.
func endsByItself(reason fleet.Reason) bool {
	switch reason {
	case engine.ReasonPaused, engine.ReasonRemovalBudget, engine.ReasonBlindFleet, engine.ReasonBlindRegion, engine.ReasonQuorum:
		return false
	}
	return true
}

// blocked says that everything that is left is stuck, or held by what does not
// end by itself. What is stuck is tried on; but whoever waits should look at it.
func blocked(s status.Status) bool {
	stopped := make(map[fleet.Action]bool)
	for _, h := range s.Held {
		if !endsByItself(h.Reason) {
			stopped[h.Action] = true
		}
	}
	for _, x := range s.Stuck {
		stopped[x.Action] = true
	}
	for _, f := range s.InFlight {
		if !stopped[fleet.Action{Type: f.Type, ID: f.ID}] {
			return false
		}
	}
	for _, a := range s.Plan.Actions {
		if !stopped[a] {
			return false
		}
	}
	return !s.Plan.Empty()
}

func (a *awaiting) sayBlocked(s status.Status) error {
	w := a.cmd.OutOrStdout()
	o := render.Options{Colour: render.Colour(w), MaxActions: shownActions}
	if err := planText(w, s, o); err != nil {
		return err
	}
	hint := "'fleetfold status' shows the same; 'fleetfold wait' waits on"
	for _, h := range s.Held {
		switch h.Reason {
		case engine.ReasonPaused:
			hint = "'fleetfold resume' ends a pause"
		case engine.ReasonRemovalBudget:
			hint = "'fleetfold approve' with the id above lets the removal happen"
		}
	}
	return cli.WithHint(fmt.Errorf("%w: %d held, %d stuck", errBlocked, len(s.Held), len(s.Stuck)), hint)
}

// progress shows on a terminal what happens behind the sequence, as 'up' does,
// until the function that it returns is called: with the sequence up to which
// everything is shown.
func (a *awaiting) progress(ctx context.Context) (end func(last uint64)) {
	out := a.cmd.ErrOrStderr()
	if !cli.IsTerminal(out) {
		return func(uint64) {}
	}
	s := newScreen(out, out, false)
	a.live.view.Read(s.resume)
	if inv, _, err := inForce(ctx, a.live.view, a.live.inventories.Get); err == nil && inv != nil {
		s.desire(inv)
	}
	shown := a.after
	show := func(records []eventlog.Record) error {
		for _, r := range records {
			s.show(r, time.Since(s.started))
			shown = r.Sequence
		}
		return nil
	}
	following, cancel := context.WithCancel(ctx)
	var showing sync.WaitGroup
	// It is there to be looked at: what ends the wait is the fold, and an error too.
	showing.Go(func() { _ = printLive(following, a.live.bus.Log(), a.after, show) })
	return func(last uint64) {
		cancel()
		showing.Wait()
		if last > shown && ctx.Err() == nil {
			if records, err := a.live.bus.Log().Read(ctx, shown, int(last-shown)); err == nil {
				_ = show(records)
			}
		}
		_ = s.close()
	}
}
