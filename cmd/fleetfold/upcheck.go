package main

import (
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// check refuses settings that cannot be, before anything is made.
func (f *upFlags) check() error {
	if f.inventory == "" {
		return cli.WithHint(cli.Usagef("--inventory is required"), "try --inventory examples/three-nodes.yaml")
	}
	if f.lease < time.Second || f.lease%time.Second != 0 || f.lease > time.Hour {
		return cli.Usagef("--lease is %s, must be whole seconds from 1s to 1h", f.lease)
	}
	f.safeguards.LostWait = f.lease / 3 // the time between two heartbeats
	if err := f.safeguards.Validate(); err != nil {
		return cli.UsageError(err)
	}
	if f.concurrency < 1 || f.concurrency > 256 {
		return cli.Usagef("--concurrency is %d, must be 1 to 256", f.concurrency)
	}
	if f.port < 0 || f.port > 65535 {
		return cli.Usagef("--port is %d, must be 0 to 65535", f.port)
	}
	if f.monitorPort < 0 || f.monitorPort > 65535 {
		return cli.Usagef("--monitor-port is %d, must be 0 to 65535", f.monitorPort)
	}
	if f.timeout <= 0 || f.enroll <= 0 {
		return cli.Usagef("--timeout and --enroll-timeout must be above 0")
	}
	if *f.mode != "auto" && !f.secure {
		return cli.Usagef("--mode %s is for a server that asks who somebody is: give --secure too", *f.mode)
	}
	_, err := events.NewSubjects(f.prefix)
	return cli.UsageError(err)
}

// busMode is empty for auto.
func (f *upFlags) busMode() busconf.Mode {
	if *f.mode == "auto" {
		return ""
	}
	return busconf.Mode(*f.mode)
}
