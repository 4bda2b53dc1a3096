package projection_test

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func (m *foldMachine) tellOne(t *rapid.T, kinds ...events.Type) {
	m.tell(t, m.draw(t, pick(t, "type", kinds...)), "")
}

func (m *foldMachine) moves() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"a fact of a node": func(t *rapid.T) { m.tellOne(t, nodeFacts...) },
		"an action":        func(t *rapid.T) { m.tellOne(t, actionTypes...) },
		"an outcome":       func(t *rapid.T) { m.tellOne(t, outcomeTypes...) },
		"a person": func(t *rapid.T) {
			m.tellOne(t, events.TypeControlPaused, events.TypeControlResumed, events.TypePlanApproved, events.TypeRotationRequested, events.TypeRetryRequested)
		},
		"a retry":      m.retries,
		"an inventory": func(t *rapid.T) { m.tellOne(t, events.TypeInventoryApplied) },
		"trust and enforcement": func(t *rapid.T) {
			m.tellOne(t, append(trustFacts, events.TypeEnforcementEnabled, events.TypeEnforcementDisabled)...)
		},
		"only enforcement": func(t *rapid.T) {
			m.tellOne(t, events.TypeEnforcementEnabled, events.TypeEnforcementDisabled)
		},
		"a partition":           func(t *rapid.T) { m.tellOne(t, events.TypePartitionApplied) },
		"a refusal":             func(t *rapid.T) { m.tellOne(t, events.TypeMessageRefused) },
		"a checkpoint":          func(t *rapid.T) { m.tellOne(t, events.TypeCheckpointSigned) },
		"a plan":                m.plan,
		"planners that share":   m.shared,
		"a node learns to sign": m.signs,
		"a node flaps":          m.flaps,
		"another life":          m.livesAgain,
	}
}

// anything is an event of any type that is registered, those that are never on
// the log included.
func (m *foldMachine) anything(t *rapid.T) {
	m.tell(t, m.draw(t, pick(t, "row", events.Registry()...).Type), "")
}

// misfit is a message that is no event, or one whose parts do not belong
// together.
func (m *foldMachine) misfit(t *rapid.T) {
	kind := pick(t, "row", events.Registry()...).Type
	if rapid.Bool().Draw(t, "of a node") {
		kind = pick(t, "node fact", nodeFacts...)
	}
	e := m.draw(t, kind)
	switch rapid.IntRange(0, 6).Draw(t, "misfit") {
	case 0:
		m.tell(t, nil, "")
	case 1:
		m.tell(t, nil, pick(t, "subject", subjects.Plan(), "fleet.events.partition", "fleet.events.plan.a", "fleet.events.plan.b.c", subjects.Enforcement(), subjects.Inventory(), subjects.Trust(),
			subjects.Control(), subjects.Node("n1"), subjects.Node("n2"), "fleet.events.node.not%canonical", "fleet.actions.enroll-node.n1"))
	case 2:
		e.Data = nil
		m.tell(t, e, "")
	case 3:
		e.Data = pick[events.Payload](t, "data", (*events.NodeAppeared)(nil), (*events.ControlPaused)(nil), (*events.PlanApproved)(nil),
			(*events.ActionRequested)(nil), &events.Heartbeat{}, &events.NodeLost{Epoch: 1}, &events.ControlResumed{Target: targets[0]})
		m.tell(t, e, "")
	case 4:
		e.Node = pick[fleet.NodeID](t, "about", "", "n1", "n2")
		m.tell(t, e, "")
	case 5:
		e.Type = pick(t, "of type", "no.such-type", pick(t, "other row", events.Registry()...).Type)
		m.tell(t, e, "")
	case 6:
		e.Node = misdirect(t, e.Data)
		m.tell(t, e, "")
	}
}

// misdirect lets an action, or a pause, concern what its kind cannot, and
// returns the node that it names then.
func misdirect(t *rapid.T, payload events.Payload) fleet.NodeID {
	nowhere := pick(t, "target", fleet.Target{}, fleet.Target{Scope: fleet.ScopeFleet, ID: "n1"}, fleet.Target{Scope: fleet.ScopeRegion},
		fleet.Target{Scope: fleet.ScopeNode}, fleet.Target{Scope: "galaxy", ID: "n1"})
	switch d := payload.(type) {
	case *events.ActionRequested:
		d.ID = pick[fleet.NodeID](t, "about", "", "n1")
		return d.ID
	case *events.ControlPaused:
		d.Target = nowhere
	case *events.ControlResumed:
		d.Target = nowhere
	}
	return nowhere.ID
}

// plan announces some actions, of which not all need follow, and between which
// something else may come.
func (m *foldMachine) plan(t *rapid.T) {
	e := m.draw(t, events.TypePlanDecided)
	announced := rapid.IntRange(0, 4).Draw(t, "announced")
	e.Data.(*events.PlanDecided).Actions = make([]events.ActionRequested, announced)
	m.tell(t, e, "")
	for range rapid.IntRange(0, announced).Draw(t, "follow") {
		switch rapid.IntRange(0, 9).Draw(t, "between") {
		case 0:
			m.tell(t, nil, "fleet.actions.enroll-node.n1")
		case 1:
			m.tellOne(t, nodeFacts...)
		default:
			m.tellOne(t, actionTypes...)
		}
	}
}

// signs tells what makes a node sign, unless it has another key.
func (m *foldMachine) signs(t *rapid.T) {
	id, serial := pick(t, "node", lawIDs...), m.serial()
	epoch := m.log.epoch(id)
	for _, d := range []events.Payload{
		&events.NodeAppeared{Epoch: epoch, Session: pick(t, "session", "s1", "s2"), KeyFingerprint: "k1"},
		&events.CredentialIssued{Epoch: epoch, Serial: serial, Nonce: "x", KeyFingerprint: pick(t, "key", "k1", "k2"), NotAfter: storedAt(900)},
		&events.CredentialProved{Epoch: epoch, Serial: serial, Nonce: "x"},
	} {
		m.tell(t, &events.Event{Type: typeOf(d), Node: id, Data: d}, "")
	}
}

func typeOf(d events.Payload) events.Type {
	switch d.(type) {
	case *events.NodeAppeared:
		return events.TypeNodeAppeared
	case *events.CredentialIssued:
		return events.TypeCredentialIssued
	}
	return events.TypeCredentialProved
}

// flaps loses a node and finds it again, now and then more often than the fold
// remembers.
func (m *foldMachine) flaps(t *rapid.T) {
	id := pick(t, "node", lawIDs...)
	epoch := m.log.epoch(id)
	for range pick(t, "times", 1, 1, 1, 1, 1, 1, 2, 2, 3, 17) {
		m.tell(t, &events.Event{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: epoch, Session: "s1", KeyFingerprint: "k1"}}, "")
		m.tell(t, &events.Event{Type: events.TypeNodeLost, Node: id, Data: &events.NodeLost{Epoch: epoch}}, "")
	}
}

// livesAgain ends the life of a node while something is in flight for it, and
// goes on in the next: what belongs to the former must not count.
func (m *foldMachine) livesAgain(t *rapid.T) {
	id := pick(t, "node", lawIDs...)
	epoch, need := m.log.epoch(id), fleet.Action{Type: pick(t, "kind", fleet.EnrollNode, fleet.IssueCredential, fleet.DecommissionNode), ID: id}
	began := func(epoch uint64) *events.Event {
		past := m.log.attempts(need, m.log.trips())
		return &events.Event{Type: events.TypeOfAction(need.Type), Node: id, Data: &events.ActionRequested{
			Type: need.Type, ID: id, Action: fleet.ActionID(fmt.Sprintf("%s-%s-life-%d-%d", need.Type, id, epoch, past.Published+1)),
			Attempt: past.Published + 1, Epoch: epoch, Generation: past.Generation,
		}}
	}
	first := began(epoch)
	for _, e := range []*events.Event{
		{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: epoch, Session: "s1", KeyFingerprint: "k1"}},
		first,
		{Type: events.TypeNodeRemoved, Node: id, Data: &events.NodeRemoved{Epoch: epoch}},
	} {
		m.tell(t, e, "")
	}
	m.tell(t, began(epoch+1), "")
	ended := first.Data.(*events.ActionRequested).Action
	m.tell(t, &events.Event{Type: events.TypeActionFailed, Data: &events.ActionFailed{Action: ended, Reason: "timeout"}}, "")
}

// retries tells of an attempt that does not succeed, and of wishes for another:
// some come too early, some too late, and some twice.
func (m *foldMachine) retries(t *rapid.T) {
	began := m.draw(t, pick(t, "action", actionTypes...))
	m.tell(t, began, "")
	d := began.Data.(*events.ActionRequested)
	wish := func() {
		e := &events.Event{Type: events.TypeRetryRequested, Node: d.ID, Data: &events.RetryRequested{
			Type: d.Type, ID: d.ID, Action: d.Action, Attempt: d.Attempt, Epoch: d.Epoch, Generation: d.Generation, Actor: "kim",
		}}
		m.tell(t, e, "")
	}
	if rapid.Bool().Draw(t, "too early") {
		wish()
	}
	m.tell(t, pick(t, "outcome",
		&events.Event{Type: events.TypeActionFailed, Data: &events.ActionFailed{Action: d.Action, Reason: "timeout"}},
		&events.Event{Type: events.TypeActionRefused, Data: &events.ActionRefused{Action: d.Action, Reason: "held"}},
		&events.Event{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Action: d.Action}}), "")
	for range rapid.IntRange(0, 2).Draw(t, "wishes") {
		wish()
	}
	if rapid.Bool().Draw(t, "too late") {
		again := *d
		again.Attempt, again.Action = d.Attempt+1, d.Action+"-again"
		m.tell(t, &events.Event{Type: began.Type, Node: d.ID, Data: &again}, "")
		wish()
	}
}
