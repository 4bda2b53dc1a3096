package doctor

import (
	"errors"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// State of what was checked.
type State string

// The states, from well to worst.
const (
	OK State = "ok"
	// Unknown: it could not be asked.
	Unknown State = "unknown"
	// Warn: it works, and something weakens it or soon will.
	Warn State = "warn"
	// Fail: the fleet does not work as promised.
	Fail State = "fail"
)

// States lists all, from well to worst.
var States = []State{OK, Unknown, Warn, Fail}

// Finding is the result of one check.
type Finding struct {
	// Check is its name, which never changes.
	Check string `json:"check"`
	State State  `json:"state"`
	// Text is one sentence with the numbers.
	Text string `json:"finding"`
	// Next is what to do about it; empty when there is nothing.
	Next string `json:"next,omitempty"`
}

// check looks at one thing. It need not fill in Finding.Check.
type check struct {
	name  string
	needs needs
	look  func(*Facts) Finding
}

// needs is what must be there for a check to have something to say.
type needs int

const (
	nothing needs = iota
	aConnection
	theLog
)

// checks are all there are, in the order they are reported in.
var checks = []check{
	{"connection", nothing, connection},
	{"streams", aConnection, streams},
	{"object-store", aConnection, objectStore},
	{"replicas", aConnection, replicas},
	{"durability", nothing, func(f *Facts) Finding { return Durability(f.Streams, f.Servers) }},
	{"gap", theLog, gap},
	{"limits", aConnection, limits},
	{"clock", theLog, clock},
	{"fold", theLog, fold},
	{"snapshots", theLog, snapshots},
	{"unfit", theLog, unfit},
	{"presence", theLog, presence},
	{"executors", theLog, executors},
	{"consumer", theLog, consumer},
	{"plan", theLog, plan},
}

// Examine runs all checks.
func Examine(f Facts) []Finding {
	have := f.have()
	all := make([]Finding, 0, len(checks))
	for _, c := range checks {
		var found Finding
		switch {
		case have >= c.needs:
			found = c.look(&f)
		case have == nothing:
			found = unknown("Nothing was asked, because there is no connection.", "")
		default:
			found = unknown("There is no log to look at.", "")
		}
		found.Check, found.Text = c.name, capital(found.Text)
		all = append(all, found)
	}
	return all
}

// have is the most that checks may need.
func (f *Facts) have() needs {
	log, asked := f.stream(eventlog.RoleLog)
	switch {
	case f.Connection.Err != nil || !asked:
		return nothing
	case log.Err != nil && !errors.Is(log.Err, eventlog.ErrNotAllowed) || log.Missing: // who may not ask reads all the same
		return aConnection
	}
	return theLog
}

// Worst state among the findings; OK for none.
func Worst(findings []Finding) State {
	counts := Count(findings)
	for i := len(States) - 1; i > 0; i-- {
		if counts[States[i]] > 0 {
			return States[i]
		}
	}
	return OK
}

// Count how many findings have each state.
func Count(findings []Finding) map[State]int {
	counts := make(map[State]int, len(States))
	for _, s := range States {
		counts[s] = 0
	}
	for _, f := range findings {
		counts[f.State]++
	}
	return counts
}

func ok(format string, args ...any) Finding {
	return Finding{State: OK, Text: fmt.Sprintf(format, args...)}
}

func unknown(text, next string) Finding { return Finding{State: Unknown, Text: text, Next: next} }
func warn(text, next string) Finding    { return Finding{State: Warn, Text: text, Next: next} }
func fail(text, next string) Finding    { return Finding{State: Fail, Text: text, Next: next} }
