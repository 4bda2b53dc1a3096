// Package explained checks explanations of whole logs by other ways than package
// explain comes to them: against the fold of every beginning of the log, and
// against the engine, asked about the fold of all of it.
//
// Each sequence that is named must be that of a record of the type that is named.
// What is said to hold since a record must hold behind it and ever since, and must
// not have held just before. The nodes that keep strict enforcement off must be
// those of engine.Blocking; each action of the plan must be told once, in the
// state that the engine gives; and where the plan wants nothing of a node and
// nothing is in flight, the verdict must be that there is nothing to do.
//
// It is for tests. It never writes, and takes time in the square of the log.
package explained

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Check explains everything that a log speaks of and returns what is wrong, one
// line for each; most bounds how many subjects are asked about, spread evenly; 0
// means all. The log must begin with sequence 1. inventory finds a desired state
// by the digest of its text.
func Check(records []eventlog.Record, subjects events.Subjects, inventory func(digest string) (*fleet.Inventory, error), now time.Time, most int) ([]string, error) {
	h := &told{records: records, subjects: subjects, inventory: inventory, now: now}
	if err := h.fold(); err != nil {
		return nil, err
	}
	all, step := h.all(), 1
	if most > 0 {
		step = (len(all) + most - 1) / most
	}
	var wrong []string
	for some := range slices.Chunk(all, max(1, step)) {
		found, err := h.check(some[0])
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			s := some[0]
			wrong = append(wrong, fmt.Sprintf("%s: %s", strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Kind, s.Node, s.Action)), f))
		}
	}
	return wrong, nil
}
