package poison

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const key = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// misfit is a message that is no event of the log.
type misfit struct {
	does   string
	reason fleet.Reason
	bend   func(*events.Message)
}

func header(name string, values ...string) func(*events.Message) {
	return func(m *events.Message) { m.Header[name] = values }
}

func body(data []byte) func(*events.Message) { return func(m *events.Message) { m.Data = data } }

func on(subject string) func(*events.Message) {
	return func(m *events.Message) { m.Subject = subject }
}

// speaksAsServer is an empty message whose headers a client could take for the
// server's word, on the subject that plans are fenced on.
func speaksAsServer(pairs ...string) func(*events.Message) {
	return func(m *events.Message) {
		m.Subject, m.Data, m.Header = "fleet.events.plan", nil, map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			m.Header[pairs[i]] = []string{pairs[i+1]}
		}
	}
}

func manyHeaders(n int) func(*events.Message) {
	return func(m *events.Message) {
		for i := range n {
			m.Header[fmt.Sprintf("h%d", i)] = []string{"v"}
		}
	}
}

var misfits = []misfit{
	{"a type that nobody knows", events.ReasonUnknownType, header("ce-type", "node.exploded")},
	{"no header at all", events.ReasonBadAttribute, func(m *events.Message) { m.Header = nil }},
	{"a header that is missing", events.ReasonBadAttribute, func(m *events.Message) { delete(m.Header, "ce-id") }},
	{"a header that stands twice", events.ReasonBadHeader, header("ce-id", "a", "b")},
	{"a header in two spellings", events.ReasonBadHeader, header("CE-Id", "a")},
	{"a header that is not percent-encoded", events.ReasonBadHeader, header("ce-id", "%zz")},
	{"as large a header as the server takes", events.ReasonOversize, header("ce-id", strings.Repeat("a", 60<<10))},
	{"as many headers as the server takes", events.ReasonBadData, func(m *events.Message) { manyHeaders(5000)(m); m.Data = nil }},
	{"a schema of another version", events.ReasonBadAttribute, header("ce-dataschema", "urn:fleetfold:event:node.appeared:v9")},
	{"a body that does not fit its schema", events.ReasonBadData, body([]byte(`{"epoch":1,"session":"s","key_fingerprint":"k","more":1}`))},
	{"the subject of plans for a fact of a node", events.ReasonWrongSubject, on("fleet.events.plan")},
	{"the subject of another node", events.ReasonWrongSubject, on("fleet.events.node.n1")},
	{"the subject of an outcome for a fact", events.ReasonWrongSubject, on("fleet.events.outcome.x")},
	{"the subject of actions for a fact", events.ReasonWrongSubject, on("fleet.actions.EnrollNode.n1")},
	{"a subject that nobody writes on", events.ReasonWrongSubject, on("fleet.events.node.a.b.c")},
	{"an empty body", events.ReasonBadData, body(nil)},
	{"null for a body", events.ReasonBadData, body([]byte("null"))},
	{"a body over the limit", events.ReasonOversize, body(bytes.Repeat([]byte(" "), events.MaxBodyBytes+1))},
	{"a body of 8 MB", events.ReasonOversize, body(bytes.Repeat([]byte("["), 8<<20))},
	{"JSON nested a hundred thousand deep", events.ReasonBadData, body([]byte(strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)))},
	{"lists nested a hundred thousand deep", events.ReasonBadData, body(bytes.Repeat([]byte("["), 100_000))},
	{"a body that is not UTF-8", events.ReasonBadData, body([]byte("{\"session\":\"\xff\xfe\"}"))},
	{"a number below zero", events.ReasonBadData, body([]byte(`{"epoch":-1,"session":"s","key_fingerprint":"k"}`))},
	{"a number above 64 bits", events.ReasonBadData, body([]byte(`{"epoch":18446744073709551616,"session":"s","key_fingerprint":"k"}`))},
	{"a number above all floats", events.ReasonBadData, body([]byte(`{"epoch":1e400,"session":"s","key_fingerprint":"k"}`))},
	{"a field with a name of half a megabyte", events.ReasonBadData, body([]byte(`{"` + strings.Repeat("x", 1<<19) + `":1}`))},
	{"an event that stands whole in its body, and does not", events.ReasonBadData, func(m *events.Message) {
		m.Header = map[string][]string{"Content-Type": {"application/cloudevents+json"}}
	}},
	{"a step beyond the last", events.ReasonBadAttribute, header("ce-step", "5")},
	{"an empty message that says there are no messages", events.ReasonBadAttribute, speaksAsServer("Status", "404")},
	{"an empty message that says the consumer is gone", events.ReasonBadAttribute, speaksAsServer("Status", "409", "Description", "Consumer Deleted")},
	{"an empty message that says the server stops", events.ReasonBadAttribute, speaksAsServer("Status", "409", "Description", "Server Shutdown")},
	{"an empty message that says it is the last", events.ReasonBadAttribute, speaksAsServer("Status", "204", "Description", "EOB")},
	{"an empty message that says nobody listens", events.ReasonBadAttribute, speaksAsServer("Status", "503")},
	{"an empty message that says it is a heartbeat", events.ReasonBadAttribute, speaksAsServer("Status", "100")},
	{"headers that claim another place in the log", events.ReasonBadAttribute, speaksAsServer(
		"Nats-Sequence", "1", "Nats-Stream", "OTHER", "Nats-Subject", "fleet.events.trust", "Nats-Time-Stamp", "1999-01-01T00:00:00Z", "Nats-Num-Pending", "0")},
	{"headers that claim another subject and time", events.ReasonBadAttribute, speaksAsServer(
		"Nats-Subject", "fleet.events.trust", "Nats-Time-Stamp", "1999-01-01T00:00:00Z")},
	{"rubbish on the subject of inventories", events.ReasonBadAttribute, func(m *events.Message) {
		*m = events.Message{Subject: "fleet.events.inventory", Header: map[string][]string{"x": {"y"}}, Data: []byte("rubbish")}
	}},
	{"rubbish on the subject of the enforcement", events.ReasonBadAttribute, func(m *events.Message) {
		*m = events.Message{Subject: "fleet.events.enforcement", Data: []byte("rubbish")}
	}},
	{"rubbish on the subject of a node", events.ReasonBadAttribute, func(m *events.Message) {
		*m = events.Message{Subject: "fleet.events.node.n1", Data: []byte("rubbish")}
	}},
	{"rubbish on the subject of an action", events.ReasonBadAttribute, func(m *events.Message) {
		*m = events.Message{Subject: "fleet.actions.IssueCredential.n1", Data: []byte("rubbish")}
	}},
}

// Each is counted by its reason, shown by what reads the log, and passed over.
func TestAMessageThatDoesNotFitTheLogHarmsNobody(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	for _, c := range misfits {
		t.Run(c.does, func(t *testing.T) {
			w.t = t
			m := w.event(events.TypeNodeAppeared, "ghost", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: key})
			if c.does == "a step beyond the last" {
				m = w.event(events.TypeEnrollNode, "n1", &events.ActionRequested{Type: fleet.EnrollNode, ID: "n1", Action: "a", Attempt: 1, Epoch: 1, Generation: 1})
			}
			c.bend(&m)
			series := fmt.Sprintf("fleetfold_log_unfit_total{reason=%q}", c.reason)
			before := w.planner.metric(w.ctx, t, series)
			seq := w.put(m)
			if last, err := w.bus.Log().LastOn(w.ctx, m.Subject); err != nil || last != seq {
				t.Errorf("the last sequence on %s is %d, %v; want %d", m.Subject, last, err, seq)
			}
			w.await(w.planner, series, before+1)
			w.errand()
			w.shown(seq, m.Subject, c.reason)
		})
	}
}

// shown looks at the record as fleetfold log does.
func (w *world) shown(seq uint64, subject string, reason fleet.Reason) {
	w.t.Helper()
	records, err := w.bus.Log().Read(w.ctx, seq-1, 3)
	if err != nil || len(records) < 2 || records[0].Sequence != seq || records[1].Sequence != seq+1 {
		w.t.Fatalf("read the log at %d: %d records, %v", seq, len(records), err)
	}
	text := logline.Text(records[0])
	if !strings.Contains(text, subject) || !strings.Contains(text, string(reason)) || len(text) > 2000 {
		w.t.Errorf("the log shows %q, want subject %s and reason %s in few words", text, subject, reason)
	}
}

// A reader that is behind gets many large messages at once.
func TestManyLargeMessagesHoldNobodyUp(t *testing.T) {
	w := newWorld(t)
	m := events.Message{Subject: "fleet.events.plan", Data: bytes.Repeat([]byte("x"), 8<<20)}
	for range 12 {
		w.put(m)
	}
	w.fleet()
	w.await(w.planner, fmt.Sprintf("fleetfold_log_unfit_total{reason=%q}", events.ReasonOversize), 12)
	if records, err := w.bus.Log().Read(w.ctx, 0, 16); err != nil || len(records) != 16 {
		t.Errorf("read %d records, %v", len(records), err)
	}
}

// flip is the need of the next errand, and the id that its action will have.
func (w *world) flip() (fleet.Action, fleet.ActionID) {
	need := fleet.Action{Type: fleet.EnableStrictEnforcement}
	if w.strict {
		need.Type = fleet.DisableStrictEnforcement
	}
	return need, engine.ActionIDFor(need, 1, w.generation+1, 1)
}

func (w *world) request(a fleet.Action, d events.ActionRequested) events.Message {
	d.Type, d.ID = a.Type, a.ID
	return w.event(events.TypeOfAction(a.Type), a.ID, &d)
}

// fits are events that are well formed and not true. before says what is put on
// the log before the errand.
var fits = []struct {
	does   string
	before func(w *world)
}{
	{"an inventory of the last generation there is", func(w *world) {
		w.put(w.event(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: key, Generation: math.MaxUint64, Actor: "x"}))
	}},
	{"an action of a generation that is not there yet", func(w *world) {
		need, _ := w.flip()
		w.put(w.request(need, events.ActionRequested{Action: "ahead", Attempt: 1, Epoch: 1, Generation: math.MaxUint64}))
	}},
	{"an action of the highest attempt there is", func(w *world) {
		need, _ := w.flip()
		w.put(w.request(need, events.ActionRequested{Action: "worn-out", Attempt: math.MaxInt64, Epoch: 1, Generation: w.generation}))
	}},
	{"an action that nobody asked for", func(w *world) {
		id := fleet.ActionID(fmt.Sprintf("stray-%d", w.generation))
		w.put(w.request(fleet.Action{Type: fleet.EnrollNode, ID: "stranger"}, events.ActionRequested{Action: id, Attempt: 1, Epoch: 1, Generation: w.generation}))
		w.next("the stray action is refused", func(e *events.Event) bool {
			d, ok := e.Data.(*events.ActionRefused)
			return ok && d.Action == id
		})
	}},
	{"an action of a life that the node has not had", func(w *world) {
		w.put(w.request(fleet.Action{Type: fleet.IssueCredential, ID: "n1"}, events.ActionRequested{Action: "reborn", Attempt: 1, Epoch: 7, Generation: w.generation}))
		w.await(w.executor, `fleetfold_action_outcomes_total{action_type="IssueCredential",outcome="parked",reason="not_counted"}`, 1)
	}},
	{"an action under the id of one that is over", func(w *world) {
		need, id := w.flip()
		w.errand()
		w.put(w.request(fleet.Action{Type: fleet.IssueCredential, ID: "n2"}, events.ActionRequested{Action: id, Attempt: 1, Epoch: 1, Generation: w.generation}))
		w.next("the second action of id "+string(id)+", after "+string(need.Type)+", has an outcome of its own", func(e *events.Event) bool {
			d, ok := e.Data.(*events.ActionRefused)
			return ok && d.Action == id && d.ID == "n2"
		})
	}},
	{"an outcome of an action that is not there", func(w *world) {
		w.put(w.event(events.TypeActionSucceeded, "", &events.ActionSucceeded{Type: fleet.EnableStrictEnforcement, Action: "never"}))
	}},
	{"an outcome that comes before its action", func(w *world) {
		need, id := w.flip()
		w.put(w.event(events.TypeActionSucceeded, "", &events.ActionSucceeded{Type: need.Type, Action: id}))
	}},
	{"rubbish on the subject of the outcome to come", func(w *world) {
		_, id := w.flip()
		w.put(events.Message{Subject: w.bus.Subjects().Outcome(id), Data: []byte("rubbish")})
	}},
	{"two outcomes of one action", func(w *world) {
		need, id := w.flip()
		w.errand()
		for range 2 {
			w.put(w.event(events.TypeActionFailed, "", &events.ActionFailed{Type: need.Type, Action: id, Reason: "x"}))
		}
	}},
	{"a plan that announces a thousand actions and sends none", func(w *world) {
		d := &events.PlanDecided{Plan: "plan-hollow", Basis: 1, InventoryDigest: key, Generation: 1, RuleVersion: "1", DecidedAt: time0}
		for i := range 1000 {
			d.Actions = append(d.Actions, events.ActionRequested{
				Type: fleet.EnrollNode, ID: fleet.NodeID(fmt.Sprintf("h%d", i)), Action: fleet.ActionID(fmt.Sprintf("h%d", i)), Attempt: 1, Epoch: 1, Generation: 1,
			})
		}
		w.put(w.event(events.TypePlanDecided, "", d))
	}},
	{"the sighting of a node that nobody saw, in a life that it has not had", func(w *world) {
		w.put(w.event(events.TypeNodeAppeared, "n1", &events.NodeAppeared{Epoch: math.MaxUint64, Session: "s", KeyFingerprint: key}))
	}},
	{"an approval of what is still to come", func(w *world) {
		w.put(w.event(events.TypePlanApproved, "", &events.PlanApproved{Approval: "removal-x", Basis: math.MaxUint64, Actor: "x"}))
	}},
	{"safeguards that make no sense", func(w *world) {
		w.put(w.event(events.TypePlanDecided, "", &events.PlanDecided{
			Plan: "plan-odd", Basis: 1, InventoryDigest: key, Generation: 1, RuleVersion: "1", DecidedAt: time0,
			Safeguards: events.HoldSafeguards{RemovalMin: -1, RemovalFraction: 1e308, BlindFraction: -1e308, LostWaitSeconds: 1e308, FlapHalfLifeSeconds: -1},
		}))
	}},
}

func TestAnEventThatIsNotTrueHarmsNobody(t *testing.T) {
	w := newWorld(t)
	w.fleet()
	for _, c := range fits {
		t.Run(c.does, func(t *testing.T) {
			w.t = t
			c.before(w)
			w.errand()
		})
	}
}
