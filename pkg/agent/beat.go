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
// allows no more. It goes by the lease that the newest heartbeat asked for, also
// when the fleet has asked for another pace since.
func (a *Agent) interval() time.Duration {
	a.beating.Lock()
	resting := a.resting
	a.beating.Unlock()
	cut := a.cfg.Jitter * a.cfg.Random()
	return time.Duration((1 - cut) * float64(resting))
}

// rhythm is how often the node says that it is there, and the lease that it asks
// for, as it is set and as the fleet asks.
func (a *Agent) rhythm() (interval, lease time.Duration) {
	if pace := a.pace.Load(); pace != nil {
		return pace.Slow(a.cfg.Heartbeat, a.cfg.Lease, a.cfg.SlowestLease)
	}
	return a.cfg.Heartbeat, a.cfg.Lease
}

// beat renews the lease, unless the node has said farewell.
func (a *Agent) beat(ctx context.Context, bus Bus) error {
	a.beating.Lock()
	defer a.beating.Unlock()
	serial, pending := a.serials()
	if a.left {
		return nil
	}
	interval, lease := a.rhythm()
	a.resting = interval
	sent := a.cfg.Now()
	limited, cancel := context.WithTimeout(ctx, a.cfg.Heartbeat)
	defer cancel()
	err := a.publish(limited, bus, lease, serial, pending, false)
	if err == nil || ctx.Err() == nil { // a stop is no failure
		a.tally.note(sent, lease, err)
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
	_, lease := a.rhythm()
	return a.publish(ctx, bus, lease, "", "", true)
}

func (a *Agent) publish(ctx context.Context, bus Bus, lease time.Duration, serial, pending string, leaving bool) error {
	e := a.speaker().Heartbeat(lease, Holding{Serial: serial, PendingSerial: pending, Bundle: a.bundleDigest()}, leaving)
	if err := bus.Beat(ctx, a.cfg.Node, e, lease); err != nil {
		return fmt.Errorf("publish heartbeat: %w", err)
	}
	return nil
}
