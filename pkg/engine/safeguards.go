package engine

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxFlapThreshold is the largest FlapThreshold: the fold remembers no more
// losses of a node than can exceed it.
const MaxFlapThreshold = 15

// maxCount bounds the thresholds that count nodes.
const maxCount = 1_000_000

// Safeguards are the thresholds of Hold. DefaultSafeguards gives the defaults;
// the zero Safeguards are not valid.
type Safeguards struct {
	// RemovalMin is how many decommissions a plan may always ask for without
	// anyone's approval, unless they are everyone; 0 to 1000000, default 5.
	RemovalMin int `json:"removal_min"`
	// RemovalFraction of the observed nodes may be decommissioned without
	// approval when that is more than RemovalMin; 0 to 1, default 0.02.
	RemovalFraction float64 `json:"removal_fraction"`
	// BlindFraction: when more than this part of the desired nodes of a region,
	// or of the fleet, is lost, the fault is taken to be ours; 0 to 1, default
	// 0.55. 1 means never.
	BlindFraction float64 `json:"blind_fraction"`
	// BlindMin is the fewest lost nodes for which that is believed; 1 to
	// 1000000, default 3.
	BlindMin int `json:"blind_min"`
	// LostWait is how long a lost node is not enrolled again, so that it shows
	// whether others are lost with it: nodes that are cut off together are lost
	// within the time between two heartbeats. 0 to 1h, default 5s; 0 means not to
	// wait. Planners take the pace of heartbeats in its place where that is longer.
	LostWait time.Duration `json:"lost_wait"`
	// FlapThreshold is the penalty above which a node is not enrolled again.
	// Each loss adds 1; 1 to 15, default 3.
	FlapThreshold float64 `json:"flap_threshold"`
	// FlapHalfLife is how long it takes a penalty to fall by half; 1s to 24h,
	// default 10m.
	FlapHalfLife time.Duration `json:"flap_half_life"`
}

// DefaultSafeguards returns the thresholds that nobody has tuned.
func DefaultSafeguards() Safeguards {
	return Safeguards{
		RemovalMin: 5, RemovalFraction: 0.02,
		BlindFraction: 0.55, BlindMin: 3, LostWait: 5 * time.Second,
		FlapThreshold: 3, FlapHalfLife: 10 * time.Minute,
	}
}

// Validate reports every field that is out of its range, all at once.
func (g Safeguards) Validate() error {
	var problems []error
	report := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	if g.RemovalMin < 0 || g.RemovalMin > maxCount {
		report("removal_min is %d, must be 0 to %d", g.RemovalMin, maxCount)
	}
	if !(g.RemovalFraction >= 0 && g.RemovalFraction <= 1) { // also refuses NaN
		report("removal_fraction is %v, must be 0 to 1", g.RemovalFraction)
	}
	if !(g.BlindFraction >= 0 && g.BlindFraction <= 1) {
		report("blind_fraction is %v, must be 0 to 1", g.BlindFraction)
	}
	if g.BlindMin < 1 || g.BlindMin > maxCount {
		report("blind_min is %d, must be 1 to %d", g.BlindMin, maxCount)
	}
	if g.LostWait < 0 || g.LostWait > time.Hour {
		report("lost_wait is %s, must be 0s to 1h", g.LostWait)
	}
	if !(g.FlapThreshold >= 1 && g.FlapThreshold <= MaxFlapThreshold) {
		report("flap_threshold is %v, must be 1 to %d", g.FlapThreshold, MaxFlapThreshold)
	}
	if g.FlapHalfLife < time.Second || g.FlapHalfLife > 24*time.Hour {
		report("flap_half_life is %s, must be 1s to 24h", g.FlapHalfLife)
	}
	return errors.Join(problems...)
}

// part is a fraction of a number of nodes. A person wrote the fraction in
// decimals, and 0.29 as a float is a hair less: nine decimals of the product
// are what was meant.
func part(fraction float64, of int) float64 {
	return math.Round(fraction*float64(of)*1e9) / 1e9
}

// RemovalBudget is how many of the observed nodes a plan may decommission
// without approval.
func (g Safeguards) RemovalBudget(observed int) int {
	return max(g.RemovalMin, int(part(g.RemovalFraction, observed)))
}

// blind says whether so many lost of so many desired nodes mean that we do not
// see, rather than that they are gone.
func (g Safeguards) blind(lost, desired int) bool {
	return lost >= g.BlindMin && float64(lost) > part(g.BlindFraction, desired)
}

// FlapEnds is when a penalty will have fallen to the threshold; now, if it has.
// It is rounded up to a nanosecond, so that whoever waits for it finds the
// penalty fallen; what is less than one is the noise of the sum.
func (g Safeguards) FlapEnds(penalty float64, now time.Time) time.Time {
	if penalty <= g.FlapThreshold {
		return now
	}
	wait := math.Log2(penalty/g.FlapThreshold) * float64(g.FlapHalfLife)
	if wait < 1 {
		return now
	}
	return now.Add(time.Duration(math.Ceil(wait)))
}
