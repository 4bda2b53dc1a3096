package doctor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// fewBehind is how many records may come while we look.
const fewBehind = 100

func fold(f *Facts) Finding {
	switch {
	case errors.Is(f.Fold.Err, eventlog.ErrGap):
		return fail(fmt.Sprintf("The fold ends behind sequence %d: %v.", f.Fold.Sequence, f.Fold.Err), nextGap)
	case f.Fold.Err != nil:
		return fail(fmt.Sprintf("The log could not be folded behind sequence %d: %v.", f.Fold.Sequence, f.Fold.Err), "see the findings on streams and connection; a long log needs a longer --timeout")
	}
	behind := uint64(0)
	if f.Fold.Last > f.Fold.Sequence {
		behind = f.Fold.Last - f.Fold.Sequence
	}
	if behind > fewBehind {
		return warn(fmt.Sprintf("The log grows faster than it is folded: %s behind sequence %d after %s.", count(behind, "record"), f.Fold.Last, short(f.Fold.Took)), "find out who writes so much: 'fleetfold log --follow' shows it")
	}
	return ok("Folded up to sequence %d in %s, %s behind.", f.Fold.Sequence, short(f.Fold.Took), count(behind, "record"))
}

func unfit(f *Facts) Finding {
	switch {
	case f.Fold.Unfit == 0 && f.Fold.Err != nil:
		return unknown("The log was not read to its end.", "")
	case f.Fold.Unfit == 0:
		return ok("Every message of the log is an event of a known type.")
	}
	var newest []string
	for _, u := range f.Fold.Newest {
		newest = append(newest, fmt.Sprintf("%d on %s (%v)", u.Sequence, u.Subject, u.Err))
	}
	return warn(fmt.Sprintf("%s of the log %s no event, the newest at sequence %s.", count(f.Fold.Unfit, "message"), verb(f.Fold.Unfit, "is", "are"), list(newest)),
		"if a newer release wrote them, update all programs; else find out who may write to the log")
}

// presenceGrace is how long after the end of a lease the log may still call
// the node present: a planner has to read of it and to append.
const presenceGrace = 10 * time.Second

func presence(f *Facts) Finding {
	switch {
	case f.Leases.Err != nil:
		return unknown(sentence(f.Leases.Err), "")
	case f.Fold.Err != nil:
		return unknown("The log was not read to its end.", "")
	}
	var due []string
	for _, id := range f.Fold.Present {
		if since, is := f.due(id); is {
			due = append(due, fmt.Sprintf("%s (%s)", id, short(f.Now.Sub(since))))
		}
	}
	if len(due) > 0 {
		return warn(fmt.Sprintf("%s of %d that the log calls present %s no lease: %s.", count(len(due), "node"), len(f.Fold.Present), verb(len(due), "has", "have"), list(due)),
			"see that a planner runs: it calls them lost, unless their agents come back first")
	}
	return ok("%s present on the log, each with a lease that runs or ended a moment ago.", count(len(f.Fold.Present), "node"))
}

// due says since when a node has had no lease, if that is too long. A stream
// that is younger than the lease has forgotten it and must be given time.
func (f *Facts) due(id fleet.NodeID) (since time.Time, is bool) {
	if _, runs := f.Leases.Running[id]; runs {
		return time.Time{}, false
	}
	grace := presenceGrace
	since, remembered := f.Leases.Ended[id]
	if !remembered {
		since, grace = f.Leases.Since, longestLease(f.Leases.Running)+presenceGrace
	}
	return since, f.Now.Sub(since) > grace
}

// longestLease is that of the nodes that have one; without any, the default.
func longestLease(running map[fleet.NodeID]time.Duration) time.Duration {
	longest := time.Duration(0)
	for _, lease := range running {
		longest = max(longest, lease)
	}
	if longest == 0 {
		return defaultLease
	}
	return longest
}

// defaultLease is what agents ask for when nobody says otherwise.
const defaultLease = 15 * time.Second

func executors(f *Facts) Finding {
	a := f.Actions
	const next = "start an executor, or see why none is connected: its /readyz says what it waits for"
	switch {
	case a.Err != nil:
		return unknown(sentence(a.Err), "")
	case a.Missing:
		return warn("No executor has ever taken actions of this fleet.", next)
	case a.Waiting > 0:
		return ok("Executors wait for actions: %s at the server, of which each has one or two.", count(a.Waiting, "request"))
	case a.Unacknowledged >= a.Limit && a.Limit > 0:
		return ok("No executor waits, because all %d actions that may be out at once are.", a.Limit)
	}
	return warn(fmt.Sprintf("No executor waits for actions: %d not handed out, %d handed out and not ended.", a.Pending, a.Unacknowledged), next)
}

func consumer(f *Facts) Finding {
	a := f.Actions
	switch {
	case a.Err != nil:
		return unknown(sentence(a.Err), "")
	case a.Missing:
		return unknown("There is no consumer "+a.Consumer+": the first executor makes it.", "")
	case len(a.Wrong) > 0:
		return fail("The consumer is set so that actions can be skipped: "+list(mismatches(a.Wrong))+".", "restart an executor: it sets the consumer right, where the server allows it")
	case a.Paused:
		return warn("The consumer "+a.Consumer+" is paused: no action is handed out.", "nats consumer resume "+logName(f)+" "+a.Consumer)
	}
	text := fmt.Sprintf("%s not handed out, %d handed out and not ended, %d of these more than once", count(a.Pending, "action"), a.Unacknowledged, a.Redelivered)
	age := time.Duration(0)
	if a.Oldest > 0 {
		age = f.Now.Sub(a.OldestTime)
		text += fmt.Sprintf("; the oldest is at sequence %d, %s old", a.Oldest, short(age))
	}
	if age > f.Overdue || a.Redelivered > 0 {
		return warn(text+".", "see the executors' logs for that action: a handler hangs, dies, or its outcome cannot be stored")
	}
	return ok("%s.", text)
}

func plan(f *Facts) Finding {
	switch {
	case f.Fold.Err != nil:
		return unknown("The log was not read to its end.", "")
	case f.Fold.Plan == nil:
		return ok("No plan was decided yet.")
	}
	p := f.Fold.Plan
	text := fmt.Sprintf("The newest plan is at sequence %d, %s old, with %s; %d in flight", p.Sequence, short(f.Now.Sub(p.Time)), count(p.Actions, "action"), len(f.Fold.Flights))
	var late []string
	for _, fl := range f.Fold.Flights {
		if age := f.Now.Sub(fl.At); age > f.Overdue {
			late = append(late, fmt.Sprintf("%s at sequence %d (%s)", strings.TrimSpace(fmt.Sprintf("%s %s", fl.Action.Type, fl.Action.ID)), fl.Sequence, short(age)))
		}
	}
	if len(late) > 0 {
		return warn(fmt.Sprintf("%s, %d of them longer than %s: %s.", text, len(late), f.Overdue, list(late)), "see the findings on executors and consumer, and the executors' logs")
	}
	return ok("%s.", text)
}
