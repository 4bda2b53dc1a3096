package search

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// executor lets one executor do what it can do next.
func (a *steps) executor(i int) {
	r := a.from.runs[i]
	if r.stage == idle {
		if i == 0 || a.from.runs[0].stage != idle { // free executors are alike
			a.takeAny(i)
		}
		return
	}
	if a.from.faults > 0 {
		to := a.from
		to.faults--
		to.runs[i] = run{}
		a.add(i, to, "crashes and forgets what it was doing for %s", a.name(r))
	}
	switch r.stage {
	case refusing:
		a.refuse(i)
	case closing:
		a.close(i)
	default:
		a.handle(i)
		a.interrupt(i)
	}
}

// takeAny takes up any action that was not acknowledged: the consumer hands it
// out. One that another executor works on is handed out again only when that
// one was silent for too long.
func (a *steps) takeAny(i int) {
	for p := a.from.log; p.parent != nil; p = p.parent {
		if !p.event.Type.IsAction() || a.from.acked&(1<<p.seq) != 0 {
			continue
		}
		to := a.from
		again := ""
		if to.runs[1-i].action == uint8(p.seq) {
			if to.faults == 0 {
				continue
			}
			to.faults--
			again = ", which is handed out again"
		}
		if a.barred(p) && !a.without(PhaseBarrier) {
			continue
		}
		to.runs[i] = run{action: uint8(p.seq)}
		a.decide(i, to, "takes up "+a.name(to.runs[i])+again)
	}
}

// barred says that the action's plan has an earlier phase without an outcome.
func (a *steps) barred(p *prefix) bool {
	f, ok := a.facts.flights[requestOf(p).Action]
	if !ok {
		return false
	}
	for _, other := range a.facts.flights {
		if other.Plan == f.Plan && other.Action.Type.Phase() < f.Action.Type.Phase() {
			return true
		}
	}
	return false
}

func requestOf(p *prefix) *events.ActionRequested { return p.event.Data.(*events.ActionRequested) }

func (a *steps) request(r run) *events.ActionRequested {
	return requestOf(a.from.log.at(uint64(r.action)))
}

// name is for the story, and costs nothing while none is told.
func (a *steps) name(r run) string {
	if a.quiet {
		return ""
	}
	return fmt.Sprintf("%s at %d", need(a.request(r)), r.action)
}

// decide folds to the end and decides again: Reconcile, then Hold. A run of the handler begins here:
// what happens between the decision and the handler's first step is as if it
// happened during that step.
func (a *steps) decide(i int, to state, does string) {
	r := &to.runs[i]
	f, ok := a.facts.flights[a.request(*r).Action]
	r.basis, r.serial = uint8(a.from.log.seq), 0
	switch {
	case !ok || f.Sequence != uint64(r.action):
		a.acknowledge(i, to, does+" and finds that it is over")
		return
	case !f.wanted && !a.without(DecideAgain):
		r.stage = refusing
		a.add(i, to, "%s, decides again on %d: not wanted", does, r.basis)
		return
	case f.held != "" && !a.without(ExecutorHold):
		r.stage = refusing
		a.add(i, to, "%s, decides again on %d: held (%s)", does, r.basis, f.held)
		return
	}
	r.stage = firstStage[f.Action.Type]
	if a.without(DecideAgain) {
		does += ", does not decide again"
	} else {
		does += ", decides again: wanted"
	}
	a.add(i, to, "%s, and begins on %d", does, r.basis)
	a.breaks(a.checkBegin(a.from.log, a.request(*r)))
}

var firstStage = map[fleet.ActionType]stage{
	fleet.EnrollNode:               awaiting,
	fleet.IssueCredential:          issuing,
	fleet.DecommissionNode:         stopping,
	fleet.DisableStrictEnforcement: closing,
	fleet.EnableStrictEnforcement:  closing,
}

// acknowledge ends a delivery, unless the acknowledgement is lost or the
// executor dies before it: then the action is handed out again.
func (a *steps) acknowledge(i int, to state, does string) {
	action := to.runs[i].action
	to.runs[i] = run{}
	done := to
	done.acked |= 1 << action
	a.add(i, done, "%s and acknowledges", does)
	if to.faults > 0 {
		to.faults--
		a.add(i, to, "%s, and the acknowledgement is lost", does)
	}
}

func (a *steps) refuse(i int) {
	r := a.from.runs[i]
	q := a.request(r)
	if a.without(RecordedRefusal) {
		a.acknowledge(i, a.from, "refuses "+a.name(r)+" and says nothing")
		return
	}
	refused := &events.ActionRefused{Type: q.Type, ID: q.ID, Action: q.Action, Reason: "no_longer_wanted", Basis: uint64(r.basis)}
	if f := a.Model.facts(a.from.log.at(refused.Basis)).flights[q.Action]; f.wanted && f.held != "" {
		refused.Reason, refused.Detail = "held", string(f.held)
	}
	a.finish(i, a.from, []entry{a.outcome(events.TypeActionRefused, q, refused, refused.Reason, refused.Detail)}, "refuses "+a.name(r))
}

// close stores the closing facts and the outcome in one batch.
func (a *steps) close(i int) {
	r := a.from.runs[i]
	q := a.request(r)
	entries := append(a.closing(r, q), a.outcome(events.TypeActionSucceeded, q, &events.ActionSucceeded{
		Type: q.Type, ID: q.ID, Action: q.Action,
	}))
	a.finish(i, a.from, entries, "finishes "+a.name(r))
}

func (a *steps) outcome(t events.Type, q *events.ActionRequested, d events.Payload, distinct ...any) entry {
	e := entry{event: fact(t, q.ID, d, append(distinct, q.Action)...)}
	if !a.without(OutcomeFence) {
		e.fence = fence{lastOnSubject, 0}
	}
	return e
}

// finish appends an outcome and acknowledges. When the race is lost and the
// action has no outcome, the executor decides again; when the append was stored
// but its confirmation lost, that is the same as an acknowledgement lost.
func (a *steps) finish(i int, to state, entries []entry, does string) {
	after, ok := to.log.append(entries)
	if ok {
		to.log = after
		a.acknowledge(i, to, does)
		return
	}
	if to.log.hasOutcome(a.request(to.runs[i]).Action) {
		a.acknowledge(i, to, does+", too late: it has an outcome")
		return
	}
	a.decide(i, to, does+", but the log has moved on")
}
