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

// decide folds to the end and decides again. A run of the handler begins here:
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
	}
	r.stage = firstStage[f.Action.Type]
	if a.without(DecideAgain) {
		does += ", does not decide again"
	} else {
		does += ", decides again: wanted"
	}
	a.add(i, to, "%s, and begins on %d", does, r.basis)
	if begun := &a.out[len(a.out)-1]; begun.broken == "" {
		begun.broken = checkBegin(a.from.log, a.request(*r))
	}
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

// handle is the next step of the handler. It waits on its view, so that a step
// it could take on an older view is one it took earlier.
func (a *steps) handle(i int) {
	r := a.from.runs[i]
	id := a.request(r).ID
	at := 0
	for ids[at] != id {
		at++
	}
	n, real := &a.facts.nodes[at], a.from.nodes[at]
	to := a.from
	next := &to.runs[i]
	switch r.stage {
	case awaiting:
		a.enroll(i, at)
	case issuing:
		if !n.Present || !real.alive {
			return // fails: see interrupt
		}
		next.stage, next.serial = proving, uint8(a.from.log.seq+1)
		a.store(i, to, []entry{{issued(id, n, real, next.serial), fence{lastOnSubject, n.last}}}, "issues a credential to node "+string(id))
	case proving:
		serial := serialOf(r.serial)
		if n.Proved != nil && n.Proved.Serial == serial {
			next.stage, next.serial = closing, 0
			a.add(i, to, "sees the proof of node %s", id)
			return
		}
		if real.alive && real.serial != r.serial && n.Issued != nil && n.Issued.Serial == serial && n.Issued.KeyFingerprint == fmt.Sprint(real.key) {
			to.nodes[at].serial = r.serial
			a.add(i, to, "delivers the credential to node %s, which proves it", id)
		}
	case stopping:
		if real.alive {
			to.nodes[at] = node{session: real.session, key: real.key + 1}
			a.add(i, to, "stops the agent of node %s", id)
			to = a.from
			next = &to.runs[i]
		}
		next.stage, next.basis = closing, uint8(a.from.log.seq)
		a.add(i, to, "removes node %s, and makes the closing facts on %d", id, next.basis)
	}
}

func (a *steps) enroll(i, at int) {
	n, to := &a.facts.nodes[at], a.from
	switch {
	case n.known && n.Present && n.Proved != nil:
		to.runs[i].stage = closing
		a.add(i, to, "sees that node %s is present and can sign", ids[at])
	case n.known && n.Present:
		to.runs[i].stage = issuing
		a.add(i, to, "sees node %s present", ids[at])
	case !to.nodes[at].alive:
		to.nodes[at].alive = true
		to.nodes[at].session++
		if to.nodes[at].key == 0 {
			to.nodes[at].key = 1
		}
		a.add(i, to, "starts the agent of node %s", ids[at])
	}
}

func issued(id fleet.NodeID, n *nodeFacts, real node, serial uint8) *events.Event {
	return fact(events.TypeCredentialIssued, id, &events.CredentialIssued{
		Epoch: n.epoch, Serial: serialOf(serial), Nonce: serialOf(serial), KeyFingerprint: fmt.Sprint(real.key),
		NotBefore: stored, NotAfter: stored.AddDate(1, 0, 0),
	}, real.key)
}

// interrupt ends a running handler: the inventory asks for something else, or
// it fails, by itself or at its deadline.
func (a *steps) interrupt(i int) {
	r := a.from.runs[i]
	q := a.request(r)
	if f, ok := a.facts.flights[q.Action]; ok && !f.asked {
		to := a.from
		to.runs[i].stage, to.runs[i].serial = refusing, 0
		a.add(i, to, "sees that %s is no longer wanted and stops", a.name(r))
	}
	if a.from.faults > 0 {
		to := a.from
		to.faults--
		a.finish(i, to, []entry{a.outcome(events.TypeActionFailed, q, &events.ActionFailed{
			Type: q.Type, ID: q.ID, Action: q.Action, Reason: "deadline_exceeded",
		})}, "gives up on "+a.name(r))
	}
}

func (a *steps) refuse(i int) {
	r := a.from.runs[i]
	q := a.request(r)
	if a.without(RecordedRefusal) {
		a.acknowledge(i, a.from, "refuses "+a.name(r)+" and says nothing")
		return
	}
	a.finish(i, a.from, []entry{a.outcome(events.TypeActionRefused, q, &events.ActionRefused{
		Type: q.Type, ID: q.ID, Action: q.Action, Reason: "no_longer_wanted", Basis: uint64(r.basis),
	})}, "refuses "+a.name(r))
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

// closing is what the handler returned.
func (a *steps) closing(r run, q *events.ActionRequested) (entries []entry) {
	switch q.Type {
	case fleet.EnableStrictEnforcement:
		entries = []entry{{event: fact(events.TypeEnforcementEnabled, "", &events.EnforcementEnabled{Action: q.Action}, q.Action)}}
		if !a.without(ConditionalFlip) {
			entries[0].fence = fence{lastInLog, uint64(r.basis)}
		}
	case fleet.DisableStrictEnforcement:
		entries = []entry{{event: fact(events.TypeEnforcementDisabled, "", &events.EnforcementDisabled{Action: q.Action}, q.Action)}}
	case fleet.DecommissionNode:
		for i, id := range ids {
			if id == q.ID {
				entries = removal(id, &a.Model.facts(a.from.log.at(uint64(r.basis))).nodes[i], q.Action)
			}
		}
	}
	return entries
}

func removal(id fleet.NodeID, n *nodeFacts, action fleet.ActionID) (entries []entry) {
	revoke := func(serial string) {
		entries = append(entries, entry{event: fact(events.TypeCredentialRevoked, id, &events.CredentialRevoked{
			Epoch: n.epoch, Serial: serial, Reason: "decommissioned", Action: action,
		}, serial)})
	}
	if n.Proved != nil {
		revoke(n.Proved.Serial)
	}
	if n.Issued != nil && (n.Proved == nil || n.Proved.Serial != n.Issued.Serial) {
		revoke(n.Issued.Serial)
	}
	entries = append(entries, entry{event: fact(events.TypeNodeRemoved, id, &events.NodeRemoved{Epoch: n.epoch, Action: action})})
	entries[0].fence = fence{lastOnSubject, n.last}
	return entries
}

func (a *steps) outcome(t events.Type, q *events.ActionRequested, d events.Payload) entry {
	e := entry{event: fact(t, q.ID, d, q.Action)}
	if !a.without(OutcomeFence) {
		e.fence = fence{lastOnSubject, 0}
	}
	return e
}

// store appends what the handler records while it runs.
func (a *steps) store(i int, to state, entries []entry, does string) {
	if after, ok := to.log.append(entries); ok {
		to.log = after
		a.add(i, to, "%s", does)
	}
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
