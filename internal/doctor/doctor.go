package doctor

import "fmt"

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
	name string
	// alone: it has something to say without a connection, too.
	alone bool
	look  func(*Facts) Finding
}

// checks are all there are, in the order they are reported in.
var checks = []check{
	{"connection", true, connection},
	{"streams", false, streams},
	{"object-store", false, objectStore},
	{"replicas", false, replicas},
	{"durability", true, func(f *Facts) Finding { return Durability(f.Streams, f.Servers) }},
	{"gap", false, gap},
	{"limits", false, limits},
	{"clock", false, clock},
	{"fold", false, fold},
	{"unfit", false, unfit},
	{"presence", false, presence},
	{"executors", false, executors},
	{"consumer", false, consumer},
	{"plan", false, plan},
}

// Examine runs all checks.
func Examine(f Facts) []Finding {
	all := make([]Finding, 0, len(checks))
	for _, c := range checks {
		found := unknown("Nothing was asked, because there is no connection.", "")
		if f.Connection.Err == nil || c.alone {
			found = c.look(&f)
		}
		found.Check = c.name
		all = append(all, found)
	}
	return all
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
