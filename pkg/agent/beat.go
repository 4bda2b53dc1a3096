package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
)

// beatOn renews the lease until ctx ends. After a failure it tries again soon,
// but never more often than it would beat.
func (a *Agent) beatOn(ctx context.Context, bus Bus) {
	failures := 0
	for {
		err := a.beat(ctx, bus)
		if ctx.Err() != nil {
			return
		}
		wait := a.interval()
		switch {
		case err == nil && failures > 0:
			a.log.Info().Int(field.Attempt, failures+1).Msg("heartbeats arrive again")
			failures = 0
		case err == nil:
		case failures == 0:
			a.log.Warn().Err(err).Msg("heartbeat failed, trying again")
			fallthrough
		default:
			wait = min(wait, backoff(failures, firstWait, longestWait, a.cfg.Random))
			failures++
		}
		if !a.pause(ctx, wait) {
			return
		}
	}
}

// pause waits for d or a nudge and says whether ctx lasted.
func (a *Agent) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.nudge:
	case <-ctx.Done():
		return false
	}
	return true
}

// interval until the next heartbeat: jitter only shortens it, for the lease
// allows no more.
func (a *Agent) interval() time.Duration {
	cut := a.cfg.Jitter * a.cfg.Random()
	return time.Duration((1 - cut) * float64(a.cfg.Heartbeat))
}

// beat renews the lease, unless the node has said farewell.
func (a *Agent) beat(ctx context.Context, bus Bus) error {
	a.beating.Lock()
	defer a.beating.Unlock()
	serial, pending := a.serials()
	if a.left {
		return nil
	}
	sent := a.cfg.Now()
	limited, cancel := context.WithTimeout(ctx, a.cfg.Heartbeat)
	defer cancel()
	err := a.publish(limited, bus, serial, pending, false)
	if err == nil || ctx.Err() == nil { // a stop is no failure
		a.tally.note(sent, err)
	}
	return err
}

// leave ends the lease, once.
func (a *Agent) leave(ctx context.Context, bus Bus) error {
	a.beating.Lock()
	defer a.beating.Unlock()
	if a.left {
		return nil
	}
	a.left = true
	a.tally.left()
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	return a.publish(ctx, bus, "", "", true)
}

func (a *Agent) publish(ctx context.Context, bus Bus, serial, pending string, leaving bool) error {
	e := a.speaker().Heartbeat(a.cfg.Lease, Holding{Serial: serial, PendingSerial: pending, Bundle: a.bundleDigest()}, leaving)
	if err := bus.Beat(ctx, a.cfg.Node, e, a.cfg.Lease); err != nil {
		return fmt.Errorf("publish heartbeat: %w", err)
	}
	return nil
}
