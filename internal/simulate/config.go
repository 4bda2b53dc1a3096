package simulate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Bounds and defaults of a Config.
const (
	MaxNodes        = 1 << 24
	DefaultInterval = 10 * time.Second
	DefaultAway     = time.Minute
	DefaultInFlight = 4096
	DefaultName     = "sim-"
	// MaxChurn is how many times a minute each node may die.
	MaxChurn = 60
	// leaseBeats is how many intervals a lease has where none is given.
	leaseBeats = 3
)

// Config says who is played and how.
type Config struct {
	// Bus may speak for every node.
	Bus *eventlog.Bus
	// Nodes to play, 1 to MaxNodes, named by Name and a number of seven digits
	// or more.
	Nodes int
	Name  string // empty means DefaultName
	// Interval between two heartbeats, 0 means DefaultInterval, and Lease that
	// each asks for, in whole seconds; 0 means three intervals, rounded up. Where
	// the fleet sets a slower pace, that counts.
	Interval, Lease time.Duration
	// Ramp is over how long births are spread; 0 means one interval.
	Ramp time.Duration
	// Jitter is the part of an interval, 0 to 1, that may be left out at random;
	// 0 means agent.DefaultJitter.
	Jitter float64
	// Churn is the part of the nodes that dies in a minute, 0 to MaxChurn; 0: none.
	// The time that a node lives is exponentially distributed.
	Churn float64
	// Away is for how long a dead node is away, on average; 0 means DefaultAway.
	// It, too, is exponentially distributed.
	Away time.Duration
	// Seed of births, deaths, returns and jitter.
	Seed uint64
	// PresenceOnly sends heartbeats and answers nobody: nodes without a key.
	PresenceOnly bool
	// Evidence shows who a node is; nil has none, and no credential is issued.
	Evidence agent.Evidence
	// InFlight is the most heartbeats that wait for their acknowledgement; 0 means
	// DefaultInFlight.
	InFlight int
	// Vanish ends the run without farewells, as if all nodes were cut off at once.
	Vanish bool
	// Observe hears once a second how far it is; nil means nobody.
	Observe func(Summary)
	Logger  zerolog.Logger
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.Lease == 0 {
		c.Lease = leaseFor(c.Interval)
	}
	if c.Ramp == 0 {
		c.Ramp = c.Interval
	}
	if c.Jitter == 0 {
		c.Jitter = agent.DefaultJitter
	}
	if c.Away == 0 {
		c.Away = DefaultAway
	}
	if c.InFlight == 0 {
		c.InFlight = DefaultInFlight
	}
	if c.Evidence == nil {
		c.Evidence = noEvidence
	}
	return c
}

// leaseFor is three intervals in whole seconds.
func leaseFor(interval time.Duration) time.Duration {
	return max(time.Second, (leaseBeats*interval + time.Second - 1).Truncate(time.Second))
}

// Validate reports all that is wrong with c, zero values counting as defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Nodes < 1 || c.Nodes > MaxNodes {
		report("nodes are %d, must be 1 to %d", c.Nodes, MaxNodes)
	}
	if _, err := fleet.ParseNodeID(c.Name + "0000000"); err != nil || strings.ContainsAny(c.Name, "'\"\\") {
		report("name %q is no beginning of a node id", c.Name)
	}
	if c.Interval < 100*time.Millisecond || c.Interval > agent.MaxLease/2 {
		report("interval is %s, must be 100ms to %s", c.Interval, agent.MaxLease/2)
	}
	if c.Lease < time.Second || c.Lease > agent.MaxLease || c.Lease%time.Second != 0 || c.Lease <= c.Interval {
		report("lease is %s, must be whole seconds, longer than the interval %s, and at most %s", c.Lease, c.Interval, agent.MaxLease)
	}
	if !(c.Jitter >= 0 && c.Jitter <= 1) {
		report("jitter is %v, must be 0 to 1", c.Jitter)
	}
	if !(c.Churn >= 0 && c.Churn <= MaxChurn) {
		report("churn is %v, must be 0 to %d a minute", c.Churn, MaxChurn)
	}
	if c.Ramp < 0 || c.Away < 0 || c.InFlight < 1 {
		report("ramp and time away must not be negative, and at least one heartbeat must be let through at once")
	}
	return errors.Join(problems...)
}
