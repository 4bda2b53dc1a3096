package agent

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// causeDecommissioned is logged when the agent was told to forget its node.
const causeDecommissioned = "decommissioned"

// answer does what a command asks and says how it went. A command that cannot
// be done is answered with its error and changes nothing.
func (a *Agent) answer(ctx context.Context, bus Bus, command *events.Event) *events.Event {
	answered := new(events.CommandAnswered)
	if err := a.obey(ctx, bus, command, answered); err != nil {
		answered.Error = err.Error()
		a.log.Warn().Err(err).Str(field.Command, string(command.Type)).Str(field.Event, command.ID).
			Str(field.Reason, string(fleet.ReasonOf(err))).Msg("command refused")
	} else {
		a.log.Debug().Str(field.Command, string(command.Type)).Str(field.Event, command.ID).Msg("command done")
	}
	return a.speaker().Event(events.TypeCommandAnswered, events.NodeSource(a.cfg.Node), answered)
}

func (a *Agent) obey(ctx context.Context, bus Bus, command *events.Event, answered *events.CommandAnswered) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopping {
		return ErrStopping
	}
	switch d := command.Data.(type) {
	case *events.CertificateRequested:
		return a.speaker().CertificateRequest(ctx, d, a.cfg.Evidence, answered)
	case *events.CredentialDelivered:
		if err := a.accept(d); err != nil {
			return err
		}
		return a.prove(ctx, bus, d)
	case *events.CredentialConfirmed:
		return a.confirm(d.Serial)
	case *events.CredentialRotationRequested:
		return a.rotate(d.Serial)
	case *events.NodeStopRequested:
		return a.stop(ctx, bus, d)
	}
	return fmt.Errorf("command %q is not known to this agent", command.Type)
}

// accept takes a credential into use once it is known to be this node's. It
// comes unasked, for the node has none that counts; a renewal is held first. mu
// is held.
func (a *Agent) accept(d *events.CredentialDelivered) error {
	if err := checkCredential(d, a.cfg.Node, a.fingerprint, a.cfg.Now()); err != nil {
		return fmt.Errorf("check credential: %w", err)
	}
	if held := a.credential.Load(); held != nil && *held == *d {
		return nil
	}
	if err := a.use(d); err != nil {
		return err
	}
	return a.drop()
}

// use puts a credential into the place of the old one, which stays until the
// new one lies on disk. mu is held.
func (a *Agent) use(d *events.CredentialDelivered) error {
	if err := a.store.keep(d); err != nil {
		return err
	}
	a.credential.Store(d)
	if err := a.bundleOf(d); err != nil {
		return err
	}
	a.log.Info().Str(field.Node, string(a.cfg.Node)).Str(field.Serial, d.Serial).Uint64(field.Epoch, d.Epoch).
		Str(field.Path, a.store.path(CredentialFile)).Msg("credential kept")
	a.beatSoon() // the next heartbeat names the new serial
	a.wakeRenewals()
	return nil
}

// prove answers the challenge of a credential with its key.
func (a *Agent) prove(ctx context.Context, bus Bus, d *events.CredentialDelivered) error {
	e, err := a.speaker().Proof(d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	if err := a.unsigned.wait(ctx); err != nil {
		return err
	}
	if err := bus.State(ctx, e); err != nil {
		return fmt.Errorf("publish proof: %w", err)
	}
	return nil
}

// stop says farewell before the command is answered, so that whoever asked may
// rely on it, and ends Run. mu is held.
func (a *Agent) stop(ctx context.Context, bus Bus, d *events.NodeStopRequested) error {
	cause := string(d.Reason)
	a.unsigned.ground(true)
	if d.Forget {
		cause = causeDecommissioned
		if err := a.store.forget(); err != nil {
			a.unsigned.ground(false)
			return err
		}
		a.credential.Store(nil)
		a.pending.Store(nil)
		a.bundle.Store(nil)
	}
	err := a.leave(ctx, bus)
	a.stopping = true
	a.stopped <- cause
	if err != nil {
		a.log.Warn().Err(err).Msg("farewell failed, the node will be called lost")
	}
	return nil
}
