package planner

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Config of a Planner. All fields but Policy, Safeguards, Now, Metrics and Logger are required.
type Config struct {
	Log         eventlog.Log
	View        *view.View
	Inventories *view.Inventories
	Sightings   Sightings
	Statements  Statements
	// Lease is how long after a start nobody is called lost, 1s to 1h. It must
	// be at least the longest lease that agents ask for.
	Lease time.Duration
	// Policy bounds what is published; zero means engine.DefaultPolicy.
	Policy engine.Policy
	// Safeguards say what must wait; zero means engine.DefaultSafeguards.
	Safeguards engine.Safeguards
	// Paces is where nodes are told how often to send heartbeats, so that all
	// together stay below HeartbeatRate a second, 1 to MaxHeartbeatRate; 0 means
	// DefaultHeartbeatRate. nil: they are told nothing.
	Paces         Paces
	HeartbeatRate int
	// Shard of the fleet that this planner decides on, while the partition in force
	// has one of that name; empty: all of a fleet that is not divided.
	Shard string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Metrics counts; nil means that nobody looks.
	Metrics *Metrics
	Logger  zerolog.Logger
}

// Validate reports every field that is missing or out of its range.
func (c *Config) Validate() error {
	var problems []error
	if c.Log == nil || c.View == nil || c.Inventories == nil || c.Sightings == nil || c.Statements == nil {
		problems = append(problems, errors.New("log, view, inventories, sightings and statements are required"))
	}
	if c.Lease < time.Second || c.Lease > time.Hour {
		problems = append(problems, fmt.Errorf("lease is %s, must be 1s to 1h", c.Lease))
	}
	if c.HeartbeatRate < 1 || c.HeartbeatRate > MaxHeartbeatRate {
		problems = append(problems, fmt.Errorf("heartbeat rate is %d a second, must be 1 to %d", c.HeartbeatRate, MaxHeartbeatRate))
	}
	if c.Shard != "" {
		problems = append(problems, fleet.CheckShardName(c.Shard)) // Join leaves out nil
	}
	for _, err := range []error{c.Policy.Validate(), c.Safeguards.Validate()} {
		if err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
