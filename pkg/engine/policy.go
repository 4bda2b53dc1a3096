package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// MaxInFlightLimit is the largest MaxInFlight: a published batch, plan.decided
// included, holds at most a thousand messages.
const MaxInFlightLimit = 999

// MaxBackoff is the largest BackoffCap: a need is tried at least about once a day.
const MaxBackoff = 24 * time.Hour

// Policy bounds what Dispatch publishes. DefaultPolicy gives the defaults; the
// zero Policy is not valid.
type Policy struct {
	// MaxInFlight is how many actions may be published without an outcome, over
	// all plans; 1 to 999, default 256.
	MaxInFlight int `json:"max_in_flight"`
	// BackoffBase is the wait after the first failure, doubled by each further
	// one; above 0, default 1s.
	BackoffBase time.Duration `json:"backoff_base"`
	// BackoffCap is the longest wait before jitter; BackoffBase to 24h, default 5m.
	BackoffCap time.Duration `json:"backoff_cap"`
	// Jitter is the largest part of the wait that is added to it, so that what
	// failed together is not tried together; 0 (none) to 1, default 0.2.
	Jitter float64 `json:"jitter"`
	// StuckAfter is the number of failures in a row after which a need counts as
	// stuck, see StuckNeeds. It changes nothing of what is published. 1 to 100; 0
	// means 3, which is the default.
	StuckAfter int `json:"stuck_after"`
}

// DefaultPolicy returns the policy that nobody has tuned.
func DefaultPolicy() Policy {
	return Policy{
		MaxInFlight: 256, BackoffBase: time.Second, BackoffCap: 5 * time.Minute, Jitter: 0.2,
		StuckAfter: DefaultStuckAfter,
	}
}

// Validate reports every field that is out of its range, all at once.
func (p Policy) Validate() error {
	var problems []error
	report := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	if p.MaxInFlight < 1 || p.MaxInFlight > MaxInFlightLimit {
		report("max_in_flight is %d, must be 1 to %d", p.MaxInFlight, MaxInFlightLimit)
	}
	if p.BackoffBase <= 0 {
		report("backoff_base is %s, must be above 0", p.BackoffBase)
	}
	if p.BackoffCap < p.BackoffBase || p.BackoffCap <= 0 || p.BackoffCap > MaxBackoff {
		report("backoff_cap is %s, must be backoff_base (%s) to %s", p.BackoffCap, p.BackoffBase, MaxBackoff)
	}
	if !(p.Jitter >= 0 && p.Jitter <= 1) { // also refuses NaN
		report("jitter is %v, must be 0 to 1", p.Jitter)
	}
	if p.StuckAfter < 0 || p.StuckAfter > MaxStuckAfter {
		report("stuck_after is %d, must be 1 to %d, or 0 for %d", p.StuckAfter, MaxStuckAfter, DefaultStuckAfter)
	}
	return errors.Join(problems...)
}

// wait is how long after the last outcome the attempt named next has to wait.
// A refusal waits the base once: the world had changed, nothing had failed.
func (p Policy) wait(past Attempts, next fleet.ActionID) time.Duration {
	var d time.Duration
	switch {
	case past.LastRefused:
		d = p.BackoffBase
	case past.Failures > 0:
		d = p.doubled(past.Failures - 1)
	default:
		return 0
	}
	return d + time.Duration(float64(d)*p.Jitter*fraction(next))
}

// doubled is the base doubled n times, at most the cap.
func (p Policy) doubled(n int) time.Duration {
	d := p.BackoffBase
	for ; n > 0 && d < p.BackoffCap; n-- {
		d *= 2
	}
	return min(d, p.BackoffCap)
}

// fraction spreads ids evenly over 0 to 1. It takes the place of a random
// number and, unlike one, comes out the same when decided again, on any machine.
func fraction(id fleet.ActionID) float64 {
	sum := sha256.Sum256([]byte(id))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}
