package history_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/history"
)

// Places in the good log that the tampered ones change.
const (
	inventory1 = iota
	plan1
	enrollA
	enrollB
	appearedA
	issuedA
	provedA
	enrolledA
	appearedB
	issuedB
	provedB
	enrolledB
	appearedC
	plan2
	decommissionC
	enable
	removedC
	goneC
	enabled
	enabledOutcome
	inventory2
	plan3
	disable
	disabled
	disabledOutcome
)

// goodLog is a fleet of a and b that is enrolled, rid of c, made strict and
// relaxed again.
func goodLog() []*events.Event {
	a := request(fleet.EnrollNode, "a", "enroll-a", 1)
	b := request(fleet.EnrollNode, "b", "enroll-b", 1)
	c := request(fleet.DecommissionNode, "c", "decommission-c", 1)
	on := request(fleet.EnableStrictEnforcement, "", "enable", 1)
	off := request(fleet.DisableStrictEnforcement, "", "disable", 2)
	return []*events.Event{
		inventory1:      event("", &events.InventoryApplied{Digest: "strict", Generation: 1}),
		plan1:           decided("p1", 1, a, b),
		enrollA:         published("p1", 1, 2, 1, a),
		enrollB:         published("p1", 2, 2, 1, b),
		appearedA:       event("a", &events.NodeAppeared{Epoch: 1}),
		issuedA:         event("a", &events.CredentialIssued{Epoch: 1, Action: "enroll-a", Serial: "5a", Nonce: "na"}),
		provedA:         event("a", &events.CredentialProved{Epoch: 1, Serial: "5a", Nonce: "na"}),
		enrolledA:       done(a),
		appearedB:       event("b", &events.NodeAppeared{Epoch: 1}),
		issuedB:         event("b", &events.CredentialIssued{Epoch: 1, Action: "enroll-b", Serial: "5b", Nonce: "nb"}),
		provedB:         event("b", &events.CredentialProved{Epoch: 1, Serial: "5b", Nonce: "nb"}),
		enrolledB:       done(b),
		appearedC:       event("c", &events.NodeAppeared{Epoch: 1}),
		plan2:           decided("p2", 13, c, on),
		decommissionC:   published("p2", 1, 2, 13, c),
		enable:          published("p2", 2, 2, 13, on),
		removedC:        event("c", &events.NodeRemoved{Epoch: 1, Action: "decommission-c"}),
		goneC:           done(c),
		enabled:         event("", &events.EnforcementEnabled{Generation: 1, Action: "enable"}),
		enabledOutcome:  done(on),
		inventory2:      event("", &events.InventoryApplied{Digest: "permissive", Generation: 2}),
		plan3:           decided("p3", 21, off),
		disable:         published("p3", 1, 1, 21, off),
		disabled:        event("", &events.EnforcementDisabled{Generation: 2, Action: "disable"}),
		disabledOutcome: done(off),
	}
}

func request(t fleet.ActionType, id fleet.NodeID, action fleet.ActionID, generation uint64) *events.ActionRequested {
	return &events.ActionRequested{Type: t, ID: id, Action: action, Attempt: 1, Epoch: 1, Generation: generation}
}

func decided(id fleet.PlanID, basis uint64, actions ...*events.ActionRequested) *events.Event {
	d := &events.PlanDecided{Plan: id, Basis: basis}
	for _, a := range actions {
		d.Actions = append(d.Actions, *a)
	}
	return event("", d)
}

func published(plan fleet.PlanID, step, steps int, basis uint64, a *events.ActionRequested) *events.Event {
	e := event(a.ID, a)
	e.Step = &events.Step{Plan: plan, Step: step, Steps: steps, Basis: basis}
	return e
}

func done(a *events.ActionRequested) *events.Event {
	return event(a.ID, &events.ActionSucceeded{Type: a.Type, ID: a.ID, Action: a.Action})
}

// event derives the type from the payload.
func event(node fleet.NodeID, data events.Payload) *events.Event {
	e := &events.Event{Node: node, Data: data}
	switch d := data.(type) {
	case *events.InventoryApplied:
		e.Type = events.TypeInventoryApplied
	case *events.NodeAppeared:
		e.Type = events.TypeNodeAppeared
	case *events.NodeLost:
		e.Type = events.TypeNodeLost
	case *events.NodeRemoved:
		e.Type = events.TypeNodeRemoved
	case *events.CredentialIssued:
		e.Type = events.TypeCredentialIssued
	case *events.CredentialProved:
		e.Type = events.TypeCredentialProved
	case *events.CredentialRevoked:
		e.Type = events.TypeCredentialRevoked
	case *events.EnforcementEnabled:
		e.Type = events.TypeEnforcementEnabled
	case *events.EnforcementDisabled:
		e.Type = events.TypeEnforcementDisabled
	case *events.PlanDecided:
		e.Type = events.TypePlanDecided
	case *events.ActionSucceeded:
		e.Type = events.TypeActionSucceeded
	case *events.ActionRequested:
		e.Type = events.TypeOfAction(d.Type)
	}
	return e
}

func records(log []*events.Event) []eventlog.Record {
	var all []eventlog.Record
	for i, e := range log {
		all = append(all, eventlog.Record{Sequence: uint64(i) + 1, Time: time.Unix(int64(i), 0), Event: e})
	}
	return all
}

func inventories(digest string) (*fleet.Inventory, error) {
	inv := &fleet.Inventory{Regions: []fleet.Region{{Nodes: []fleet.Node{{ID: "a"}, {ID: "b"}}}}}
	switch digest {
	case "strict":
		inv.RequireSig = true
		return inv, nil
	case "permissive":
		return inv, nil
	}
	return nil, errors.New("no such inventory")
}

func TestAGoodLogHasNoViolations(t *testing.T) {
	if found := history.Check(records(goodLog()), inventories); len(found) > 0 {
		t.Error(found)
	}
	if found := history.Check(nil, inventories); len(found) > 0 {
		t.Error(found)
	}
}

// Each tampered log breaks one rule, at one place.
func TestEachRuleBites(t *testing.T) {
	insert := func(at int, e ...*events.Event) func([]*events.Event) []*events.Event {
		return func(log []*events.Event) []*events.Event { return slices.Insert(log, at, e...) }
	}
	remove := func(at int) func([]*events.Event) []*events.Event {
		return func(log []*events.Event) []*events.Event { return slices.Delete(log, at, at+1) }
	}
	replace := func(at int, e *events.Event) func([]*events.Event) []*events.Event {
		return func(log []*events.Event) []*events.Event { log[at] = e; return log }
	}
	swap := func(a, b int) func([]*events.Event) []*events.Event {
		return func(log []*events.Event) []*events.Event { log[a], log[b] = log[b], log[a]; return log }
	}
	keep := func(n int) func([]*events.Event) []*events.Event {
		return func(log []*events.Event) []*events.Event { return log[:n] }
	}
	again := request(fleet.EnrollNode, "a", "enroll-a", 1)
	for name, c := range map[string]struct {
		tamper func([]*events.Event) []*events.Event
		rule   history.Rule
		at     uint64
	}{
		"a desired node is lost before the flip":  {insert(enabled, event("b", &events.NodeLost{Epoch: 1})), history.RuleFlip, enabled + 2},
		"a desired node loses its credential":     {insert(enabled, event("b", &events.CredentialRevoked{Epoch: 1, Serial: "5b"})), history.RuleFlip, enabled + 2},
		"another inventory comes before the flip": {insert(enabled, event("", &events.InventoryApplied{Digest: "unknown", Generation: 2})), history.RuleFlip, enabled + 2},
		"the flip is no longer asked for":         {insert(enabled, event("", &events.InventoryApplied{Digest: "permissive", Generation: 2})), history.RuleFlip, enabled + 2},
		"a plan lacks its last action":            {remove(disable), history.RuleBatch, disable + 1},
		"a plan lacks its only action at the end": {keep(disable), history.RuleBatch, disable},
		"something stands inside a plan":          {insert(enrollB, event("z", &events.NodeAppeared{Epoch: 1})), history.RuleBatch, enrollB + 1},
		"a plan's actions are in another order":   {swap(enrollA, enrollB), history.RuleBatch, enrollA + 1},
		"an action has no plan":                   {replace(plan3, event("z", &events.NodeAppeared{Epoch: 1})), history.RuleBatch, disable + 1},
		"an action names another plan":            {replace(disable, published("p2", 1, 1, 21, request(fleet.DisableStrictEnforcement, "", "disable", 2))), history.RuleBatch, disable + 1},
		"a plan was decided on half of another":   {replace(plan2, decided("p2", 3, request(fleet.DecommissionNode, "c", "decommission-c", 1), request(fleet.EnableStrictEnforcement, "", "enable", 1))), history.RuleBatch, plan2 + 1},
		"an action is published twice":            {insert(plan2, decided("p9", 13, again), published("p9", 1, 1, 13, again)), history.RuleOnce, plan2 + 2},
		"an action works after its outcome":       {swap(removedC, goneC), history.RuleOnce, goneC + 1},
		"a removal is the work of nothing":        {replace(removedC, event("c", &events.NodeRemoved{Epoch: 1, Action: "unheard-of"})), history.RuleOnce, removedC + 1},
		"a flip is the work of a decommission":    {replace(enabled, event("", &events.EnforcementEnabled{Generation: 1, Action: "decommission-c"})), history.RuleOnce, enabled + 1},
		"an action has two outcomes":              {insert(appearedB, done(again)), history.RuleOutcome, appearedB + 1},
		"an outcome is of nothing":                {insert(appearedB, done(request(fleet.EnrollNode, "z", "enroll-z", 1))), history.RuleOutcome, appearedB + 1},
		"an outcome names another node":           {replace(enrolledA, done(request(fleet.EnrollNode, "b", "enroll-a", 1))), history.RuleOutcome, enrolledA + 1},
		"the flip ends before the decommission": {func(log []*events.Event) []*events.Event {
			return append(log[:removedC], log[enabled], log[enabledOutcome])
		}, history.RulePhase, removedC + 2},
		"a node proves what it was not given":        {remove(issuedA), history.RuleProof, provedA},
		"a node proves with another nonce":           {replace(provedA, event("a", &events.CredentialProved{Epoch: 1, Serial: "5a", Nonce: "nb"})), history.RuleProof, provedA + 1},
		"a node proves the challenge of another one": {replace(provedA, event("a", &events.CredentialProved{Epoch: 1, Serial: "5b", Nonce: "nb"})), history.RuleProof, provedA + 1},
	} {
		t.Run(name, func(t *testing.T) {
			found := history.Check(records(c.tamper(goodLog())), inventories)
			if len(found) == 0 {
				t.Fatal("nothing was found")
			}
			if first := found[0]; first.Rule != c.rule || first.Sequence != c.at {
				t.Errorf("found first %v, want %s at %d; all: %v", first, c.rule, c.at, found)
			}
		})
	}
}

func TestAGapEndsTheCheck(t *testing.T) {
	log := slices.Delete(records(goodLog()), appearedA, appearedA+1)
	found := history.Check(log, inventories)
	if len(found) != 1 || found[0].Rule != history.RuleGap || found[0].Sequence != appearedA+2 {
		t.Errorf("found %v", found)
	}
	if found := history.Check(records(goodLog())[1:], inventories); len(found) != 1 || found[0].Rule != history.RuleGap {
		t.Errorf("a log without its first record: found %v", found)
	}
}

// A newer release may have written what this one cannot read.
func TestAMessageThatIsNoEventIsPassedOver(t *testing.T) {
	log := slices.Insert(goodLog(), appearedA, nil)
	log[plan2+1].Data.(*events.PlanDecided).Basis++
	log[decommissionC+1].Step.Basis++
	log[enable+1].Step.Basis++
	if found := history.Check(records(log), inventories); len(found) > 0 {
		t.Error(found)
	}
	// But not inside a plan, which is one piece.
	log = slices.Insert(goodLog(), enrollB, nil)
	if found := history.Check(records(log), inventories); len(found) == 0 || found[0].Rule != history.RuleBatch {
		t.Errorf("found %v", found)
	}
}
