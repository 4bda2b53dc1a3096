package engine

import (
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// DefaultStuckAfter and MaxStuckAfter are the default and the largest
// StuckAfter of a Policy.
const (
	DefaultStuckAfter = 3
	MaxStuckAfter     = 100
)

// Stuck is a need that the plan still has although its attempts keep failing.
type Stuck struct {
	fleet.Action
	// Failures in a row, at the node's present epoch and the inventory's present
	// generation.
	Failures int `json:"failures"`
	// LastError is how the newest attempt that has ended did so, "reason: detail".
	LastError string `json:"last_error"`
	// LastOutcome is when that was, by the log.
	LastOutcome time.Time `json:"last_outcome"`
	// NextAttempt is when Dispatch publishes the next one, at the earliest: that of
	// LastOutcome where a person wants it retried; zero while one is in flight for
	// the node, or for the fleet.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
}

// StuckNeeds lists, in plan order, the needs of a plan that are stuck: as many
// attempts in a row failed as the policy's StuckAfter says. They are tried on
// all the same, and hold up nobody else. A need that the plan no longer has is
// not stuck, however often it failed.
func StuckNeeds(plan fleet.Plan, ledger Ledger, generation uint64, policy Policy) []Stuck {
	d := dispatcher{ledger: ledger, policy: policy, generation: generation}
	after := policy.stuckAfter()
	var stuck []Stuck
	for _, action := range plan.Actions {
		past := ledger.Attempts(action)
		if past.Failures < after {
			continue
		}
		s := Stuck{Action: action, Failures: past.Failures, LastError: past.LastError, LastOutcome: past.LastOutcome}
		if _, _, busy := ledger.InFlight(action.ID); !busy {
			if s.NextAttempt = d.backoff(action, past); past.Retry {
				s.NextAttempt = past.LastOutcome
			}
		}
		stuck = append(stuck, s)
	}
	return stuck
}

func (p Policy) stuckAfter() int {
	if p.StuckAfter == 0 {
		return DefaultStuckAfter
	}
	return p.StuckAfter
}

// longestCause bounds what of an error stands in the detail of a held action:
// hundreds of them go into one message.
const longestCause = 160

// cause is the first line of an error, cut short.
func cause(lastError string) string {
	line, _, more := strings.Cut(strings.TrimSpace(lastError), "\n")
	if r := []rune(line); len(r) > longestCause {
		line, more = string(r[:longestCause]), true
	}
	if more {
		line += "…"
	}
	return line
}
