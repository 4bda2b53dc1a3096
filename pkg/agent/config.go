package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Defaults of a Config, and the longest lease that a heartbeat may ask for.
const (
	DefaultLease  = 15 * time.Second
	MaxLease      = events.MaxLeaseSeconds * time.Second
	DefaultJitter = 0.1
	// DefaultSlowestLease lets four million nodes share 50,000 heartbeats a second.
	DefaultSlowestLease = 5 * time.Minute
)

// Config is what an agent must know. Node and Dir have no default.
type Config struct {
	// Node the agent speaks for.
	Node fleet.NodeID
	// Dir is the folder of key and credential. It is made when missing, and no
	// two agents may share it.
	Dir string
	// Lease is how long the node counts as present after a heartbeat: whole
	// seconds, at most MaxLease. 0 is DefaultLease.
	Lease time.Duration
	// Heartbeat is the time between two heartbeats; shorter than Lease. 0 is a
	// third of the lease, so that two in a row may get lost.
	Heartbeat time.Duration
	// SlowestLease bounds the lease, and with it the time between heartbeats, that
	// the fleet may slow this node down to as it grows: whole seconds, Lease to
	// MaxLease. 0 is DefaultSlowestLease, or Lease if that is longer; Lease itself
	// keeps the node from being slowed.
	SlowestLease time.Duration
	// Jitter is the part of the time between two heartbeats, 0 to 1, that may
	// be left out at random, so that a fleet started at once spreads out.
	// 0 is DefaultJitter.
	Jitter float64
	// LockWait is how long Open waits for another agent to leave the folder; 0
	// refuses at once. A child that replaces a dying one needs a moment.
	LockWait time.Duration
	// Evidence shows who the node is when it is asked for its certificate request,
	// as attest.Provers.Prove does; nil evidence is none of that kind. A nil
	// function has none of any kind: the node is given no credential then.
	Evidence func(ctx context.Context, kind fleet.Attestor, c attest.Challenge) (*attest.Evidence, error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Random draws from [0, 1) for jitter; nil is math/rand. Keys never come from it.
	Random func() float64
}

// withDefaults returns c with its zero values replaced.
func (c Config) withDefaults() Config {
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = c.Lease / 3
	}
	if c.SlowestLease == 0 {
		c.SlowestLease = max(c.Lease, DefaultSlowestLease)
	}
	if c.Jitter == 0 {
		c.Jitter = DefaultJitter
	}
	if c.Evidence == nil {
		c.Evidence = attest.Provers(nil).Prove
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	return c
}

// Validate reports all that is wrong with c, zero values counting as defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var problems []error
	if _, err := fleet.ParseNodeID(string(c.Node)); err != nil {
		problems = append(problems, err)
	}
	if c.Dir == "" {
		problems = append(problems, errors.New("no folder given for key and credential"))
	}
	switch {
	case c.Lease < time.Second || c.Lease > MaxLease || c.Lease%time.Second != 0:
		problems = append(problems, fmt.Errorf("lease %v must be whole seconds, from 1 second to 1 hour", c.Lease))
	case c.Heartbeat <= 0 || c.Heartbeat >= c.Lease:
		problems = append(problems, fmt.Errorf("heartbeat interval %v must be above 0 and shorter than the lease %v", c.Heartbeat, c.Lease))
	}
	if c.SlowestLease < c.Lease || c.SlowestLease > MaxLease || c.SlowestLease%time.Second != 0 {
		problems = append(problems, fmt.Errorf("slowest lease %v must be whole seconds, from the lease %v to 1 hour", c.SlowestLease, c.Lease))
	}
	if c.Jitter < 0 || c.Jitter > 1 {
		problems = append(problems, fmt.Errorf("jitter %v must lie between 0 and 1", c.Jitter))
	}
	return errors.Join(problems...)
}
