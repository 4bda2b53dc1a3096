package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// point of a history: behind a sequence, or at a time. The zero point is the end.
type point struct {
	set      bool
	sequence uint64
	at       time.Time // zero: by sequence
}

func parsePoint(text string) (p point, err error) {
	if text == "" {
		return p, nil
	}
	p.set = true
	if p.sequence, err = strconv.ParseUint(text, 10, 64); err == nil {
		return p, nil
	}
	if p.at, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return p, cli.WithHint(cli.Usagef("--at %q is neither a sequence nor a time", text), "write 1200, or 2026-11-23T12:00:00Z")
	}
	return p, nil
}

func (p point) past(r eventlog.Record) bool {
	if p.at.IsZero() {
		return p.set && r.Sequence > p.sequence
	}
	return r.Time.After(p.at)
}

// reached says whether the history is as long as the point asks. That nothing
// came until a time is an answer, too.
func (p point) reached(last uint64) error {
	if p.set && p.at.IsZero() && last < p.sequence {
		return cli.WithHint(fmt.Errorf("--at %d is behind the end of the history, which is at %d", p.sequence, last), "without --at, the end is shown")
	}
	return nil
}
