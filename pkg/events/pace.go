package events

import (
	"encoding/json"
	"fmt"
	"time"
)

// Pace says how often the nodes of a fleet should send heartbeats, so that all of
// them together stay below a rate. It travels on the subject TrustPace, where
// every node may read it; it is no event. The zero Pace asks for nothing.
type Pace struct {
	// IntervalSeconds between two heartbeats, 1 to MaxLeaseSeconds / PaceLeases;
	// 0: whatever the node is set to.
	IntervalSeconds int `json:"interval_seconds"`
	// Nodes it was made for, and the Sequence of the log that says how many.
	Nodes    int    `json:"nodes"`
	Sequence uint64 `json:"sequence"`
}

// PaceLeases is how many intervals a lease has: two heartbeats in a row may be
// late or lost.
const PaceLeases = 3

// ParsePace reads a Pace; one that is out of bounds is an error.
func ParsePace(text []byte) (Pace, error) {
	var p Pace
	if err := json.Unmarshal(text, &p); err != nil {
		return Pace{}, fmt.Errorf("read pace: %w", err)
	}
	if p.IntervalSeconds < 0 || p.IntervalSeconds > MaxLeaseSeconds/PaceLeases || p.Nodes < 0 {
		return Pace{}, fmt.Errorf("read pace: an interval of %d s is not within 0 to %d s", p.IntervalSeconds, MaxLeaseSeconds/PaceLeases)
	}
	return p, nil
}

// Interval between two heartbeats.
func (p Pace) Interval() time.Duration { return time.Duration(p.IntervalSeconds) * time.Second }

// Lease that goes with it.
func (p Pace) Lease() time.Duration { return PaceLeases * p.Interval() }

// Slow is the interval and lease of a node that is set to these, and asks for no
// lease above longest. It only ever slows: the lease grows with the interval.
func (p Pace) Slow(interval, lease, longest time.Duration) (time.Duration, time.Duration) {
	slower := min(p.Interval(), (longest / PaceLeases).Truncate(time.Second))
	if slower <= interval {
		return interval, lease
	}
	return slower, max(lease, PaceLeases*slower)
}
