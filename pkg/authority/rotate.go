package authority

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Why a requested step waits.
const (
	// ReasonBundle: desired nodes have not reported a bundle with the new root.
	ReasonBundle fleet.Reason = "bundle_not_reported"
	// ReasonInUse: desired nodes sign with what the old issuer issued.
	ReasonInUse fleet.Reason = "credential_in_use"
	// ReasonUnusable: this executor could not make or open the issuer.
	ReasonUnusable fleet.Reason = "issuer_unusable"
)

const (
	// lookAgain is the least time between two looks at the gate of a step, and what
	// passes before one that failed is tried again.
	lookAgain = 250 * time.Millisecond
	// lookAtFolder is when a step that waits is looked at again although the log
	// has not changed: it may wait for a key that somebody copies to the folder.
	lookAtFolder = 10 * time.Second
)

// Watch is a View that tells when it has changed; *view.View is one.
type Watch interface {
	View
	Changed() <-chan struct{}
	Err() error
}

// Run takes the steps of rotations that are requested on the log, and makes the
// intermediates that are missing below the root that issues, until ctx ends or the
// view has stopped. Any number of executors may do so at once: each step
// is taken once.
func (i *Issuers) Run(ctx context.Context, v Watch) error {
	for {
		changed := v.Changed()
		if err := v.Err(); errors.Is(err, view.ErrStopped) {
			return nil // it ends with the context of both
		} else if err != nil {
			return err
		}
		waits, err := i.Rotate(ctx)
		if err != nil && ctx.Err() == nil {
			i.Logger.Warn().Err(err).Msg("could not take a step of a rotation, trying again")
		}
		if incomplete := i.complete(ctx); incomplete != nil && ctx.Err() == nil {
			i.Logger.Warn().Err(incomplete).Msg("could not make the intermediates of all regions, trying again")
			err = errors.Join(err, incomplete)
		}
		switch {
		case err != nil:
			pause(ctx, lookAgain, nil)
		case waits:
			pause(ctx, lookAgain, nil)
			pause(ctx, lookAtFolder, changed)
		default:
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// pause ends after d, with ctx, or when unless is closed.
func pause(ctx context.Context, d time.Duration, unless <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-unless:
	case <-ctx.Done():
	}
}

// Rotate takes each requested step whose gate is open; waits says that one is not.
func (i *Issuers) Rotate(ctx context.Context) (waits bool, err error) {
	var pending []projection.IssuerStep
	i.View.Read(func(s *projection.State) { pending = s.IssuerSteps() })
	if len(pending) == 0 {
		return false, nil
	}
	inv, err := i.inForce(ctx)
	if err != nil || inv == nil {
		return false, err
	}
	for _, r := range pending {
		if r.TrustDomain != inv.TrustDomain {
			continue // its nodes are not those of this inventory
		}
		step, held := i.step(ctx, inv, r)
		if held != nil {
			waits = true
			err = errors.Join(err, i.tellHeld(ctx, r, held))
			continue
		}
		err = errors.Join(err, i.take(ctx, r, step))
	}
	return waits, err
}

// take appends what a step means. A lost race means that the log has moved: the
// gate is looked at again.
func (i *Issuers) take(ctx context.Context, r projection.IssuerStep, step []eventlog.Entry) error {
	if len(step) == 0 {
		return nil
	}
	_, err := i.Log.Append(ctx, step...)
	if errors.Is(err, eventlog.ErrConflict) {
		i.Logger.Debug().Msg("lost a race for a step of a rotation, looking again")
	} else if err != nil {
		return fmt.Errorf("append step %s: %w", r.Step, err)
	} else {
		i.Logger.Info().Str(field.Step, string(r.Step)).Str(field.Region, r.Region).Str(field.Actor, r.Actor).Msg("step of a rotation taken")
	}
	return i.View.CatchUp(ctx)
}

// step returns what to append, or why the step waits; neither if the request is over.
func (i *Issuers) step(ctx context.Context, inv *fleet.Inventory, r projection.IssuerStep) ([]eventlog.Entry, *events.TrustRotationHeld) {
	switch r.Step {
	case events.RotationPrepare:
		return i.prepare(ctx, inv, r)
	case events.RotationActivate:
		return i.activate(ctx, inv, r)
	case events.RotationRetire:
		return i.retire(inv, r)
	}
	return nil, nil
}

// prepare makes the successor: in the folder that the inventory in force names.
func (i *Issuers) prepare(ctx context.Context, inv *fleet.Inventory, r projection.IssuerStep) ([]eventlog.Entry, *events.TrustRotationHeld) {
	if err := i.takeTurn(ctx); err != nil {
		return nil, nil
	}
	defer i.giveTurn()
	var last uint64
	var known []projection.Issuer
	pending := false
	i.View.Read(func(s *projection.State) {
		last, known, pending = s.LastTrust(), s.Issuers(), stillPending(s, r)
	})
	if !pending {
		return nil, nil
	}
	c := identity.CAConfig{TrustDomain: r.TrustDomain, Region: r.Region}
	fact, base := i.rootFact, i.rootBase(inv)
	if r.Region == "" {
		if c.Signer = i.unused(known); c.Signer == nil && len(i.Signers) > 0 {
			return nil, held(r, ReasonUnusable, nil, "every --ca-key-command has the key of an issuer that is known: give one with the new key as well")
		}
	} else {
		root, err := i.root(ctx, inv)
		region := inv.RegionNamed(r.Region)
		if err == nil && (region == nil || region.IntermediateCA == "") {
			err = fmt.Errorf("the inventory wants no intermediate for region %q", r.Region)
		}
		if err != nil {
			return nil, held(r, ReasonUnusable, nil, err.Error())
		}
		c.Parent, fact, base = root.CA, i.intermediateFact, regionBase(root.dir, region)
	}
	ca, err := i.makeNext(base, c)
	if err != nil {
		return nil, held(r, ReasonUnusable, nil, err.Error())
	}
	return []eventlog.Entry{{Event: fact(ca, r.TrustDomain), Fence: eventlog.LastOnSubject(last)}}, nil
}

// activate is conditional on the whole log: no node may be added, lose its
// bundle, or begin a new life between the look at the gate and the fact.
func (i *Issuers) activate(ctx context.Context, inv *fleet.Inventory, r projection.IssuerStep) (step []eventlog.Entry, wait *events.TrustRotationHeld) {
	if err := i.takeTurn(ctx); err != nil {
		return nil, nil
	}
	defer i.giveTurn()
	var next projection.Issuer
	var without []fleet.NodeID
	var basis uint64
	ready := false
	i.View.Read(func(s *projection.State) {
		if next, ready = s.Successor(r.TrustDomain, r.Region); ready {
			ready = stillPending(s, r)
			without, basis = s.WithoutRoot(inv, rootOf(next)), s.Sequence()
		}
	})
	switch {
	case !ready:
		return nil, nil
	case len(without) > 0:
		return nil, held(r, ReasonBundle, without, nodes(without)+" reported no bundle with root "+rootOf(next))
	}
	if _, err := i.open(next); err != nil {
		return nil, held(r, ReasonUnusable, nil, err.Error())
	}
	return []eventlog.Entry{{Fence: eventlog.LastInLog(basis), Event: i.fact(events.TypeTrustActivated, &events.TrustActivated{
		TrustDomain: r.TrustDomain, Region: r.Region, Fingerprint: next.Fingerprint,
	}, next.Fingerprint, strconv.FormatUint(r.Sequence, 10))}}, nil
}

// retire is conditional on the whole log, too. All predecessors go together.
func (i *Issuers) retire(inv *fleet.Inventory, r projection.IssuerStep) (step []eventlog.Entry, wait *events.TrustRotationHeld) {
	i.View.Read(func(s *projection.State) {
		if !stillPending(s, r) {
			return
		}
		for _, old := range s.Predecessors(r.TrustDomain, r.Region) {
			if using := s.SigningUnder(inv, old.Fingerprint); len(using) > 0 {
				step, wait = nil, held(r, ReasonInUse, using, nodes(using)+" sign with what issuer "+old.Fingerprint+" issued")
				return
			}
			step = append(step, eventlog.Entry{Event: i.fact(events.TypeTrustRetired, &events.TrustRetired{
				TrustDomain: r.TrustDomain, Region: r.Region, Fingerprint: old.Fingerprint,
			}, old.Fingerprint, strconv.FormatUint(r.Sequence, 10))})
		}
		if len(step) > 0 {
			step[0].Fence = eventlog.LastInLog(s.Sequence())
		}
	})
	return step, wait
}

func rootOf(issuer projection.Issuer) string {
	if issuer.Parent != "" {
		return issuer.Parent
	}
	return issuer.Fingerprint
}

func nodes(ids []fleet.NodeID) string {
	if len(ids) == 1 {
		return "1 desired node"
	}
	return strconv.Itoa(len(ids)) + " desired nodes"
}

func stillPending(s *projection.State, r projection.IssuerStep) bool {
	for _, have := range s.IssuerSteps() {
		if have.Sequence == r.Sequence {
			return true
		}
	}
	return false
}

func held(r projection.IssuerStep, reason fleet.Reason, ids []fleet.NodeID, detail string) *events.TrustRotationHeld {
	return &events.TrustRotationHeld{
		Step: r.Step, TrustDomain: r.TrustDomain, Region: r.Region, Reason: reason, Detail: detail,
		Nodes: ids[:min(len(ids), events.MaxWaitListed)], NodesTotal: len(ids),
	}
}

// tellHeld puts on the log why a step waits: each reason once from each
// executor, so that two that see things differently cannot fill the log.
func (i *Issuers) tellHeld(ctx context.Context, r projection.IssuerStep, why *events.TrustRotationHeld) error {
	if err := i.takeTurn(ctx); err != nil {
		return err
	}
	defer i.giveTurn()
	key := strconv.FormatUint(r.Sequence, 10) + " " + string(why.Reason)
	said := i.said[key]
	i.said[key] = true
	if said || r.Held == why.Reason {
		return nil
	}
	var last uint64
	i.View.Read(func(s *projection.State) { last = s.LastTrust() })
	i.Logger.Warn().Str(field.Step, string(r.Step)).Str(field.Region, r.Region).Str(field.Reason, string(why.Reason)).
		Int(field.Nodes, why.NodesTotal).Str(field.Why, why.Detail).Msg("a step of a rotation waits")
	err := i.publish(ctx, last, i.fact(events.TypeTrustRotationHeld, why, key))
	if err != nil {
		delete(i.said, key)
		return fmt.Errorf("append why step %s waits: %w", r.Step, err)
	}
	return nil
}
