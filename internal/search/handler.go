package search

import (
	"fmt"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// handle is the next step of the handler. It waits on its view, so that a step
// it could take on an older view is one it took earlier.
func (a *steps) handle(i int) {
	r := a.from.runs[i]
	at := slices.Index(ids[:], a.request(r).ID)
	switch r.stage {
	case awaiting:
		a.enroll(i, at)
	case issuing:
		a.issue(i, at)
	case proving:
		a.deliver(i, at)
	case stopping:
		a.remove(i, at)
	}
}

// issue fails where the node is away: see interrupt.
func (a *steps) issue(i, at int) {
	n, real, to := &a.facts.nodes[at], a.from.nodes[at], a.from
	if !n.Present || !real.alive {
		return
	}
	serial := uint8(a.from.log.seq + 1)
	to.runs[i].stage, to.runs[i].serial = proving, serial
	a.store(i, to, []entry{{issued(ids[at], n, real, serial), fence{lastOnSubject, n.last}}}, "issues a credential to node "+string(ids[at]))
}

func (a *steps) deliver(i, at int) {
	n, real, to := &a.facts.nodes[at], a.from.nodes[at], a.from
	mine := a.from.runs[i].serial
	serial := serialOf(mine)
	switch {
	case n.Proved != nil && n.Proved.Serial == serial:
		to.runs[i].stage, to.runs[i].serial = closing, 0
		a.add(i, to, "sees the proof of node %s", ids[at])
	case real.alive && real.serial != mine && n.Issued != nil && n.Issued.Serial == serial && n.Issued.KeyFingerprint == fmt.Sprint(real.key):
		to.nodes[at].serial = mine
		a.add(i, to, "delivers the credential to node %s, which proves it", ids[at])
	}
}

// remove stops the agent, or goes on without that.
func (a *steps) remove(i, at int) {
	if real := a.from.nodes[at]; real.alive {
		to := a.from
		to.nodes[at] = node{session: real.session, key: real.key + 1}
		a.add(i, to, "stops the agent of node %s", ids[at])
	}
	to := a.from
	to.runs[i].stage, to.runs[i].basis = closing, uint8(a.from.log.seq)
	a.add(i, to, "removes node %s, and makes the closing facts on %d", ids[at], to.runs[i].basis)
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

// store appends what the handler records while it runs.
func (a *steps) store(i int, to state, entries []entry, does string) {
	if after, ok := to.log.append(entries); ok {
		to.log = after
		a.add(i, to, "%s", does)
	}
}
