package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const (
	// renewTime bounds one request; another executor may take the next.
	renewTime = 10 * time.Second
	// firstRenewWait and longestRenewWait bound the wait between two requests.
	firstRenewWait   = time.Second
	longestRenewWait = time.Minute
	// confirmWait is how long a proof may take to be confirmed unasked.
	confirmWait = 5 * time.Second
	// lookAgain bounds every wait, for the clock may be set meanwhile.
	lookAgain = time.Minute
)

// Reasons of refusals after which asking on would be no use; package handlers
// gives them.
const (
	reasonTooEarly   fleet.Reason = "renewal_too_early"
	reasonSuperseded fleet.Reason = "renewal_superseded"
)

// renewals is what the loop remembers from one look to the next.
type renewals struct {
	serial   string    // of the credential that due is for
	due      time.Time // drawn once for a credential
	failures int
	retry    time.Time // not before; zero: nothing was asked yet
}

// renewOn renews the credential in its time, until ctx ends. A request that
// fails is repeated with growing waits for as long as the credential lasts; one
// that has ended is the planner's to replace.
func (a *Agent) renewOn(ctx context.Context, bus Bus) {
	var r renewals
	for {
		wait := a.untilRenewal(&r)
		if wait <= 0 {
			a.note(&r, a.renew(ctx, bus))
			wait = a.untilRenewal(&r)
		}
		timer := time.NewTimer(max(wait, time.Millisecond))
		select {
		case <-timer.C:
		case <-a.renewals:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// untilRenewal is how long there is nothing to ask for; 0 or less: ask now.
func (a *Agent) untilRenewal(r *renewals) time.Duration {
	now, held, pending := a.cfg.Now(), a.credential.Load(), a.pending.Load()
	if held == nil {
		return lookAgain
	}
	if held.Serial != r.serial {
		*r = renewals{serial: held.Serial, due: RenewalDue(held, a.cfg.Random())}
	}
	due := r.due
	if _, until, ok := validity(held); pending == nil && (!ok || now.After(until)) {
		return lookAgain
	}
	if _, until, ok := validity(pending); ok && now.Before(until) || a.isRotating(held) {
		due = now
	}
	if due.Before(r.retry) {
		due = r.retry
	}
	return min(due.Sub(now), lookAgain)
}

// note sets when to ask next.
func (a *Agent) note(r *renewals, err error) {
	now := a.cfg.Now()
	if err == nil && a.pending.Load() == nil {
		r.failures, r.retry = 0, now.Add(firstRenewWait)
		return
	}
	wait := confirmWait
	if err != nil || r.failures > 0 {
		wait = backoff(r.failures, firstRenewWait, longestRenewWait, a.cfg.Random)
	}
	r.failures++
	r.retry = now.Add(wait)
	if err != nil {
		a.log.Warn().Err(err).Str(field.Serial, r.serial).Str(field.Reason, string(fleet.ReasonOf(err))).
			Int(field.Attempt, r.failures).Dur(field.Wait, wait).Msg("credential not renewed, trying again")
	}
}

// renew asks once, and does what the answer says.
func (a *Agent) renew(ctx context.Context, bus Bus) error {
	held, pending := a.credential.Load(), a.pending.Load()
	if held == nil {
		return nil
	}
	request, err := a.speaker().RenewalRequest(held, pending)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	answer, err := bus.Request(limited, a.cfg.Node, request)
	if err != nil {
		return fmt.Errorf("request renewal: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopping || a.credential.Load() != held {
		return nil // a command has changed what the request was about
	}
	switch d := answer.Data.(type) {
	case *events.CredentialDelivered:
		if err := a.hold(d); err != nil {
			return err
		}
		// The heartbeat that names it goes first: by one of before, the planner
		// would take what was proved for lost if the agent has just restarted.
		if err := a.beat(ctx, bus); err != nil {
			return err
		}
		return a.prove(ctx, bus, d)
	case *events.CredentialConfirmed:
		return a.confirm(d.Serial)
	case *events.CommandAnswered:
		return a.refused(held, &fleet.Refusal{Reason: d.Reason, Detail: d.Error})
	}
	return fmt.Errorf("request renewal: the answer is %s", answer.Type)
}

// refused keeps what no further request would change from being asked for. mu
// is held.
func (a *Agent) refused(held *events.CredentialDelivered, refusal *fleet.Refusal) error {
	switch refusal.Reason {
	case reasonTooEarly:
		a.rotating.CompareAndSwap(&held.Serial, nil) // the log asks for no rotation
	case reasonSuperseded:
		return errors.Join(refusal, a.drop())
	}
	return refusal
}

// hold keeps a renewed credential beside the one in use. mu is held.
func (a *Agent) hold(d *events.CredentialDelivered) error {
	if err := checkCredential(d, a.cfg.Node, a.fingerprint, a.cfg.Now()); err != nil {
		return fmt.Errorf("check renewed credential: %w", err)
	}
	if pending := a.pending.Load(); pending != nil && *pending == *d {
		return nil
	}
	if err := a.store.keepPending(d); err != nil {
		return err
	}
	a.pending.Store(d)
	a.log.Info().Str(field.Node, string(a.cfg.Node)).Str(field.Serial, d.Serial).Uint64(field.Epoch, d.Epoch).
		Str(field.Path, a.store.path(PendingFile)).Msg("renewed credential kept beside the old one")
	return nil
}

// confirm puts the pending credential into use, now that the log says that it
// was proved. mu is held.
func (a *Agent) confirm(serial string) error {
	if held := a.credential.Load(); held != nil && held.Serial == serial {
		return nil
	}
	pending := a.pending.Load()
	if pending == nil || pending.Serial != serial {
		return fmt.Errorf("confirm credential: none with serial %s is held", serial)
	}
	if err := a.use(pending); err != nil {
		return err
	}
	return a.drop()
}

// drop forgets the pending credential. mu is held.
func (a *Agent) drop() error {
	a.pending.Store(nil)
	return a.store.removePending()
}

// rotate lets the loop renew the credential with that serial now.
func (a *Agent) rotate(serial string) error {
	if held := a.credential.Load(); held != nil && held.Serial == serial {
		a.rotating.Store(&held.Serial)
		a.wakeRenewals()
	}
	return nil // or it has another one by now
}

func (a *Agent) isRotating(held *events.CredentialDelivered) bool {
	serial := a.rotating.Load()
	return serial != nil && *serial == held.Serial
}

func (a *Agent) wakeRenewals() {
	select {
	case a.renewals <- struct{}{}:
	default:
	}
}
