package explained

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// history is a log of two nodes, of which one signs and one failed to come.
func history(t *testing.T) *told {
	inv := &fleet.Inventory{RequireSig: true, Regions: []fleet.Region{{Name: "r", Nodes: []fleet.Node{{ID: "a"}, {ID: "b"}}}}}
	h := &told{subjects: events.DefaultSubjects(), inventory: func(string) (*fleet.Inventory, error) { return inv, nil }, now: noon.Add(7 * time.Second)}
	request := events.ActionRequested{Type: fleet.EnrollNode, ID: "b", Action: "e1", Attempt: 1, Epoch: 1, Generation: 1}
	for i, e := range []*events.Event{
		{Type: events.TypeInventoryApplied, Data: &events.InventoryApplied{Digest: "d", Generation: 1}},
		{Type: events.TypeNodeAppeared, Node: "a", Data: &events.NodeAppeared{Epoch: 1, KeyFingerprint: "k"}},
		{Type: events.TypeCredentialIssued, Node: "a", Data: &events.CredentialIssued{Epoch: 1, Serial: "s", Nonce: "n", KeyFingerprint: "k"}},
		{Type: events.TypeCredentialProved, Node: "a", Data: &events.CredentialProved{Epoch: 1, Serial: "s", Nonce: "n"}},
		{Type: events.TypePlanDecided, Data: &events.PlanDecided{Plan: "p", Basis: 4, Generation: 1, Settled: true, Actions: []events.ActionRequested{request}}},
		{Type: events.TypeEnrollNode, Node: "b", Data: &request, Step: &events.Step{Plan: "p", Step: 1, Steps: 1, Basis: 4}},
		{Type: events.TypeActionFailed, Node: "b", Data: &events.ActionFailed{Type: fleet.EnrollNode, ID: "b", Action: "e1", Reason: "timeout"}},
	} {
		h.records = append(h.records, eventlog.Record{Sequence: uint64(i + 1), Time: noon.Add(time.Duration(i+1) * time.Second), Event: e})
	}
	if err := h.fold(); err != nil {
		t.Fatal(err)
	}
	return h
}

// What is right is let through, and each lie is found.
func TestALieIsFound(t *testing.T) {
	action := explain.Subject{Kind: explain.KindAction, Node: "b", Action: "e1", Type: fleet.EnrollNode}
	node := func(id fleet.NodeID) explain.Subject { return explain.Subject{Kind: explain.KindNode, Node: id} }
	strict := explain.Subject{Kind: explain.KindStrict}
	for lie, c := range map[string]struct {
		of   explain.Subject
		tell func(*explain.Explanation)
	}{
		"present too early":        {node("a"), func(x *explain.Explanation) { x.Node.Present.Since = 1 }},
		"present too late":         {node("a"), func(x *explain.Explanation) { x.Node.Present.Since = 3 }},
		"present since never":      {node("a"), func(x *explain.Explanation) { x.Node.Present.Since = 0 }},
		"by another record":        {node("a"), func(x *explain.Explanation) { x.Node.CanSign.By = events.TypeNodeAppeared }},
		"absent":                   {node("a"), func(x *explain.Explanation) { x.Node.Present.Is = false }},
		"never seen":               {node("a"), func(x *explain.Explanation) { x.Node.Absence = explain.WhyNeverSeen }},
		"lost":                     {node("b"), func(x *explain.Explanation) { x.Node.Absence = explain.WhyLost }},
		"another life":             {node("a"), func(x *explain.Explanation) { x.Node.Epoch = 2 }},
		"nothing to do":            {node("b"), func(x *explain.Explanation) { x.Verdict = "nothing to do: it is fine" }},
		"something to do":          {node("a"), func(x *explain.Explanation) { x.Verdict = "EnrollNode a is wanted" }},
		"a step less":              {node("a"), func(x *explain.Explanation) { x.Steps = x.Steps[1:] }},
		"a step of another type":   {node("a"), func(x *explain.Explanation) { x.Steps[1].Type = events.TypeNodeLost }},
		"a step of no record":      {node("a"), func(x *explain.Explanation) { x.Steps[2].Sequence = 99 }},
		"steps out of order":       {node("a"), func(x *explain.Explanation) { x.Steps[0], x.Steps[1] = x.Steps[1], x.Steps[0] }},
		"another change":           {node("a"), func(x *explain.Explanation) { x.Steps[1].Changed[0].To = "no" }},
		"a change that counts not": {node("a"), func(x *explain.Explanation) { x.Steps[1].Ignored = true }},
		"a cause that came later": {node("a"), func(x *explain.Explanation) {
			x.Steps[0].Because = []explain.Cause{{Sequence: 2, Type: events.TypeNodeAppeared}}
		}},
		"nothing pending":       {node("b"), func(x *explain.Explanation) { x.Pending = nil }},
		"pending twice":         {node("b"), func(x *explain.Explanation) { x.Pending = append(x.Pending, x.Pending[0]) }},
		"another state":         {node("b"), func(x *explain.Explanation) { x.Pending[0].State = explain.ToPublish }},
		"until too late":        {node("b"), func(x *explain.Explanation) { x.Pending[0].Until = x.Pending[0].Until.Add(time.Second) }},
		"until too early":       {node("b"), func(x *explain.Explanation) { x.Pending[0].Until = x.Pending[0].Until.Add(-time.Millisecond) }},
		"strict":                {strict, func(x *explain.Explanation) { x.Strict.Is = true }},
		"a blocker less":        {strict, func(x *explain.Explanation) { x.Strict.Blockers = nil }},
		"another blocker":       {strict, func(x *explain.Explanation) { x.Strict.Blockers[0].ID = "a" }},
		"another outcome":       {action, func(x *explain.Explanation) { x.Action.Outcome.Type = events.TypeActionSucceeded }},
		"no outcome":            {action, func(x *explain.Explanation) { x.Action.Outcome = nil }},
		"another plan":          {action, func(x *explain.Explanation) { x.Action.PlanAt = 4 }},
		"another cause":         {action, func(x *explain.Explanation) { x.Action.Because[0].Says = "not desired" }},
		"a log that ends early": {node("a"), func(x *explain.Explanation) { x.Sequence = 6 }},
	} {
		h := history(t)
		x, err := h.explain(c.of)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := h.judge(x); len(wrong) > 0 {
			t.Fatalf("what is right is said to be wrong: %v", wrong)
		}
		c.tell(&x)
		if len(h.judge(x)) == 0 {
			t.Errorf("nobody finds: %s", lie)
		}
	}
}

func TestCheckAsksAboutEverything(t *testing.T) {
	h := history(t)
	wrong, err := Check(h.records, h.subjects, h.inventory, h.now, 0)
	if err != nil || len(wrong) > 0 {
		t.Errorf("%v %v", wrong, err)
	}
	if n := len(h.all()); n != 5 { // strict, a stranger, two nodes, one action
		t.Errorf("%d subjects", n)
	}
	if _, err := Check(h.records[1:], h.subjects, h.inventory, h.now, 0); err == nil {
		t.Error("a gap is nothing")
	}
}
