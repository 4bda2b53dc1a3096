package projection_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/internal/explained"
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// lawInventories are those that the machine applies, and one that nobody has.
func lawInventories() map[string]*fleet.Inventory {
	return map[string]*fleet.Inventory{
		"d1": {RequireSig: true, QuorumWidth: 1, Regions: []fleet.Region{{Name: "a", Nodes: []fleet.Node{{ID: "n1"}, {ID: "n2"}}}, {Name: "b", Nodes: []fleet.Node{{ID: "n4"}}}}},
		"d2": {QuorumWidth: 1, Regions: []fleet.Region{{Name: "b", Nodes: []fleet.Node{{ID: "n2"}, {ID: "n3"}}}}},
	}
}

// decides publishes what a planner would, and tells of what is held.
func (m *foldMachine) decides(t *rapid.T) {
	inv := lawInventories()[m.state.Inventory().Digest]
	if inv == nil {
		m.tell(t, &events.Event{Type: events.TypeInventoryApplied, Data: &events.InventoryApplied{Digest: "d1", Generation: m.log.inventory().Generation + 1, Actor: "ann"}}, "")
		inv = lawInventories()["d1"]
	}
	now := storedAt(m.state.Sequence()).Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "clock")) * time.Second)
	d := decide.Plan(m.state, inv, decide.Given{Settled: rapid.Bool().Draw(t, "settled"), Now: now, Safeguards: decide.Safeguards(m.state), Policy: decide.Policy(m.state)})
	basis, plan := m.state.Sequence(), fleet.PlanID("plan-"+m.serial())
	data := &events.PlanDecided{Plan: plan, Basis: basis, Generation: m.state.Inventory().Generation, Held: d.Held, HeldTotal: len(d.Held)}
	var actions []*events.Event
	for i, s := range d.Publish {
		r := events.ActionRequested{Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation}
		data.Actions = append(data.Actions, r)
		actions = append(actions, &events.Event{Type: events.TypeOfAction(s.Type), Node: s.ID, Data: &r, Step: &events.Step{Plan: plan, Step: i + 1, Steps: len(d.Publish), Basis: basis}})
	}
	for range rapid.IntRange(0, 2).Draw(t, "come between") { // as nothing but the plans' subject is fenced
		m.tellOne(t, nodeFacts...)
	}
	m.tell(t, &events.Event{Type: events.TypePlanDecided, Data: data}, "")
	for _, e := range actions {
		m.tell(t, e, "")
	}
}

// fails publishes what a planner would, and lets some of what is in flight fail,
// now and then several times.
func (m *foldMachine) fails(t *rapid.T) {
	for range pick(t, "times", 1, 1, 2, 4) {
		m.decides(t)
		for _, f := range m.state.Ledger().Flights() {
			if mostly(t, "fails") {
				m.tell(t, &events.Event{Type: events.TypeActionFailed, Data: &events.ActionFailed{Action: f.ID, Reason: "timeout", Detail: "no answer"}}, "")
			}
		}
	}
}

func TestWhatIsExplainedHolds(t *testing.T) {
	seen := make(map[explain.State]int)
	rapid.Check(t, func(t *rapid.T) {
		m := &foldMachine{state: projection.New(), count: map[string]int{}, silent: true}
		moves := m.moves()
		for _, name := range slices.Sorted(maps.Keys(moves)) {
			moves[name+", again"] = moves[name]
		}
		moves["anything"], moves["a misfit"] = m.anything, m.misfit
		moves["a planner"], moves["a planner, again"], moves["a planner, and again"] = m.decides, m.decides, m.decides
		moves["what fails"], moves["what fails, again"] = m.fails, m.fails
		t.Repeat(moves)
		m.explained(t)
		for _, p := range explain.PendingOf(m.state, lawInventories()[m.state.Inventory().Digest], storedAt(m.state.Sequence())) {
			seen[p.State]++
		}
	})
	for _, state := range []explain.State{explain.ToPublish, explain.InFlight, explain.Held, explain.BackingOff, explain.Blocked} {
		if seen[state] == 0 {
			t.Errorf("no history led to what is %s, so nothing is known of it", state)
		}
	}
}

// explained checks the explanations of everything on the log so far.
func (m *foldMachine) explained(t *rapid.T) {
	var records []eventlog.Record
	for _, message := range m.log {
		records = append(records, message.record())
	}
	inventories := lawInventories()
	if rapid.IntRange(0, 9).Draw(t, "one inventory is gone") == 0 {
		delete(inventories, "d2")
	}
	now := storedAt(uint64(len(records))).Add(time.Duration(pick(t, "now", 0, 0, 0, 1, -5, 3, 10, 300)) * time.Second)
	wrong, err := explained.Check(records, subjects, func(digest string) (*fleet.Inventory, error) {
		if inv := inventories[digest]; inv != nil {
			return inv, nil
		}
		return nil, errNoInventory
	}, now, 0)
	if err != nil || len(wrong) > 0 {
		for _, r := range records {
			t.Logf("%d %s %+v", r.Sequence, r.Message.Subject, r.Event)
		}
		t.Fatalf("%v\n%s", err, strings.Join(wrong, "\n"))
	}
}

var errNoInventory = errors.New("no such inventory")

// record is a message as readers of a log get it: what does not fit has no event.
func (m message) record() eventlog.Record {
	r := eventlog.Record{Sequence: m.seq, Time: m.at, Event: m.event, Message: events.Message{Subject: m.subject}}
	if m.event != nil {
		r.Message.Subject = subjectOf(m.event)
	}
	if m.event != nil && m.fits {
		if d, _ := events.Describe(m.event.Type); d.Channel <= events.ChannelAction {
			return r
		}
	}
	r.Event, r.Err = nil, errors.New("does not fit")
	return r
}
