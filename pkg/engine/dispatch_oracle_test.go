package engine_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// dispatchWorld is a log of attempts as a plain list. It is the Ledger of
// Dispatch, and the oracle reads the same list.
type dispatchWorld struct {
	plan       fleet.Plan
	generation uint64
	policy     engine.Policy
	now        time.Time
	published  []attempt
	removals   []fleet.NodeID
	// waits is how long the attempt of an id was found to wait.
	waits map[fleet.ActionID]time.Duration
}

// attempt is a published action and how it ended; no outcome: it is in flight.
type attempt struct {
	engine.Step
	outcome string
	ended   time.Time
	// retried: somebody does not want the next one to wait.
	retried bool
}

func (w *dispatchWorld) Outstanding() (n int) {
	for _, a := range w.published {
		if a.outcome == "" {
			n++
		}
	}
	return n
}

func (w *dispatchWorld) InFlight(id fleet.NodeID) (fleet.ActionID, fleet.ActionType, bool) {
	for _, a := range w.published {
		if a.ID == id && a.outcome == "" {
			return a.ActionID, a.Type, true
		}
	}
	return "", "", false
}

func (w *dispatchWorld) Epoch(id fleet.NodeID) uint64 {
	epoch := uint64(1)
	for _, removed := range w.removals {
		if removed == id {
			epoch++
		}
	}
	return epoch
}

// tried lists the attempts at a need in the present epoch and generation.
func (w *dispatchWorld) tried(need fleet.Action) (tried []attempt) {
	epoch := w.Epoch(need.ID)
	for _, a := range w.published {
		if a.Action == need && a.Epoch == epoch && a.Generation == w.generation {
			tried = append(tried, a)
		}
	}
	return tried
}

func (w *dispatchWorld) Attempts(need engine.Need) (sum engine.Attempts) {
	for _, a := range w.tried(need) {
		sum.Published++
		sum.Retry = a.retried
		if a.outcome == "" {
			continue
		}
		sum.LastOutcome, sum.LastRefused = a.ended, a.outcome == "refused"
		switch a.outcome {
		case "failed":
			sum.Failures++
		case "succeeded":
			sum.Failures = 0
		}
	}
	return sum
}

// next is the attempt that a need would be published as now.
func (w *dispatchWorld) next(need fleet.Action) engine.Step {
	epoch, number := w.Epoch(need.ID), len(w.tried(need))+1
	return engine.Step{
		Action: need, ActionID: engine.ActionIDFor(need, epoch, w.generation, number),
		Attempt: number, Epoch: epoch, Generation: w.generation,
	}
}

// leastWait is how long a need waits after its last outcome without jitter: the
// base after a refusal, doubled with each failure since the last success, at
// most the cap.
func (w *dispatchWorld) leastWait(need fleet.Action) (last time.Time, wait time.Duration) {
	tried := w.tried(need)
	for _, a := range tried {
		switch {
		case a.outcome == "failed" && wait == 0:
			wait = w.policy.BackoffBase
		case a.outcome == "failed":
			wait = min(2*wait, w.policy.BackoffCap)
		case a.outcome == "succeeded":
			wait = 0
		}
		if a.outcome != "" {
			last = a.ended
		}
	}
	if len(tried) > 0 && tried[len(tried)-1].outcome == "refused" {
		wait = w.policy.BackoffBase
	}
	if len(tried) > 0 && tried[len(tried)-1].retried {
		wait = 0
	}
	return last, wait
}

// backsOffUntil is when a need may be tried again; zero: it may. The jitter is
// found by asking for the need alone at the moment of its last outcome. It must
// lie in its bounds, and be the same whenever it is asked for.
func (w *dispatchWorld) backsOffUntil(t *rapid.T, need fleet.Action) (until time.Time) {
	last, least := w.leastWait(need)
	if least == 0 {
		return until
	}
	alone := *w
	alone.published = w.tried(need)
	alone.now = last
	until = engine.Dispatch(fleet.Plan{Actions: []fleet.Action{need}}, &alone, w.generation, w.policy, last).Wake
	wait, most := until.Sub(last), least+time.Duration(w.policy.Jitter*float64(least))
	if wait < least || wait > most {
		t.Fatalf("%v waits %s, at least %s and at most %s\n%s", need, wait, least, most, w)
	}
	id := w.next(need).ActionID
	if before, known := w.waits[id]; known && before != wait {
		t.Fatalf("%s waits %s, and %s when asked before", id, wait, before)
	}
	w.waits[id] = wait
	if !until.After(w.now) {
		return time.Time{}
	}
	return until
}

// decide is Dispatch told by scans of the list: what nothing holds up, and of
// that as many of the first as there is room for.
func (w *dispatchWorld) decide(t *rapid.T) (d engine.Dispatched) {
	for _, a := range w.plan.Actions {
		reason, detail := fleet.Reason(""), ""
		if id := w.waitsFor(a, d.Publish); id != "" {
			reason, detail = engine.ReasonInFlight, "waiting for the outcome of "+string(id)
		} else if until := w.backsOffUntil(t, a); !until.IsZero() {
			reason, detail = engine.ReasonBackingOff, "until "+until.Format(time.RFC3339)+w.lastTry(a)
			if d.Wake.IsZero() || until.Before(d.Wake) {
				d.Wake = until
			}
		} else if w.Outstanding()+len(d.Publish) >= w.policy.MaxInFlight {
			reason, detail = engine.ReasonMaxInFlight, fmt.Sprintf("%d actions may be in flight", w.policy.MaxInFlight)
		}
		if reason == "" {
			d.Publish = append(d.Publish, w.next(a))
		} else {
			d.Held = append(d.Held, fleet.Held{Action: a, Reason: reason, Detail: detail})
		}
	}
	return d
}

// lastTry says how the newest attempt at a need ended, and how many in a row.
func (w *dispatchWorld) lastTry(need fleet.Action) string {
	failures, last := 0, ""
	for _, a := range w.tried(need) {
		switch a.outcome {
		case "succeeded":
			failures = 0
		case "failed":
			failures++
		}
		if a.outcome != "" {
			last = a.outcome
		}
	}
	switch {
	case last == "refused":
		return ", after a refusal"
	case failures == 1:
		return ", after 1 failure"
	}
	return fmt.Sprintf(", after %d failures in a row", failures)
}

// waitsFor names the action without an outcome that a node waits for, on the
// log or published just before; the enforcement actions are of one node, "".
func (w *dispatchWorld) waitsFor(a fleet.Action, publishing []engine.Step) fleet.ActionID {
	for _, other := range w.published {
		if other.ID == a.ID && other.outcome == "" {
			return other.ActionID
		}
	}
	for _, other := range publishing {
		if other.ID == a.ID {
			return other.ActionID
		}
	}
	return ""
}
