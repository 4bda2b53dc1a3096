package authority

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// ErrNotPossible means that a step cannot be taken as things stand.
var ErrNotPossible = errors.New("not possible now")

// Word is what a person says with a request.
type Word struct {
	// Actor as they name themselves, and why; nobody checks either.
	Actor, Note string
	At          time.Time
}

// Request puts on the log that a step is wanted, of the root for an empty region.
// It refuses what the fold would take no notice of: what was looked at holds up to
// the request, since nothing at all came between. An executor takes the step when
// its gate is open.
func Request(ctx context.Context, log Log, v View, inv *fleet.Inventory, step events.RotationStep, region string, w Word) error {
	for tries := 1; ; tries++ {
		err := request(ctx, log, v, inv, step, region, w)
		if !errors.Is(err, eventlog.ErrConflict) || tries == requestTries {
			return err
		}
	}
}

// requestTries bounds how often a request is decided again because something else
// was appended meanwhile, whatever it was.
const requestTries = 50

func request(ctx context.Context, log Log, v View, inv *fleet.Inventory, step events.RotationStep, region string, w Word) error {
	if err := v.CatchUp(ctx); err != nil {
		return fmt.Errorf("catch up before a request: %w", err)
	}
	var basis uint64
	var err error
	v.Read(func(s *projection.State) {
		basis = s.Sequence()
		err = possible(s, inv, step, region)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	_, err = log.Append(ctx, eventlog.Entry{Fence: eventlog.LastInLog(basis), Event: &events.Event{
		ID:     events.NewID(string(events.TypeTrustRotationRequested), string(step), region, strconv.FormatUint(basis, 10)),
		Source: events.SourceOperator, Type: events.TypeTrustRotationRequested, Time: w.At,
		Data: &events.TrustRotationRequested{Step: step, TrustDomain: inv.TrustDomain, Region: region, Actor: w.Actor, Note: w.Note},
	}})
	if err != nil {
		return fmt.Errorf("append request: %w", err)
	}
	return nil
}

// possible says in words why the fold would ignore a request.
func possible(s *projection.State, inv *fleet.Inventory, step events.RotationStep, region string) error {
	root, ok := s.Root(inv.TrustDomain)
	if !ok {
		return fmt.Errorf("%w: no root has been published: an executor makes it", ErrNotPossible)
	}
	what := "root"
	if region != "" {
		what = fmt.Sprintf("intermediate of region %q", region)
		if r := inv.RegionNamed(region); r == nil || r.IntermediateCA == "" {
			return fmt.Errorf("%w: the inventory wants no %s", ErrNotPossible, what)
		}
		if _, ok := s.Intermediate(inv.TrustDomain, region, root.Fingerprint); !ok {
			return fmt.Errorf("%w: the %s has not been published: an executor makes it", ErrNotPossible, what)
		}
	}
	next, prepared := s.Successor(inv.TrustDomain, region)
	switch {
	case step == events.RotationPrepare && prepared:
		return fmt.Errorf("%w: the next %s, %s, is prepared already: activate it", ErrNotPossible, what, next.Fingerprint)
	case step == events.RotationActivate && !prepared:
		return fmt.Errorf("%w: no next %s is prepared", ErrNotPossible, what)
	case step == events.RotationRetire && len(s.Predecessors(inv.TrustDomain, region)) == 0:
		return fmt.Errorf("%w: there is no %s from before the active one", ErrNotPossible, what)
	}
	return nil
}
