package explain_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const text = `trust_domain: fleet.example
regions:
  - name: nyc
    nodes:
      - {id: n1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: n2, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
enforcement: {require_sig: true}
`

// file is a log as a Source, in which something may be missing.
type file struct {
	records []eventlog.Record
	texts   map[string]string
	err     error // behind the records
}

func (f file) Records(_ context.Context, after uint64) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for _, r := range f.records[after:] {
			if !yield(r, nil) {
				return
			}
		}
		if f.err != nil {
			yield(eventlog.Record{}, f.err)
		}
	}
}

func (f file) Inventory(_ context.Context, digest string) ([]byte, error) {
	if text, ok := f.texts[digest]; ok {
		return []byte(text), nil
	}
	return nil, errors.New("gone")
}

func (f *file) tell(node fleet.NodeID, data events.Payload, t events.Type) {
	seq := uint64(len(f.records) + 1)
	f.records = append(f.records, eventlog.Record{Sequence: seq, Time: noon.Add(time.Duration(seq) * time.Second), Event: &events.Event{Type: t, Node: node, Data: data}})
}

func (f *file) applied(text string, generation uint64) {
	digest := inventory.Digest([]byte(text))
	f.texts = map[string]string{digest: text}
	f.tell("", &events.InventoryApplied{Digest: digest, Generation: generation, Actor: "kim"}, events.TypeInventoryApplied)
}

func (f *file) published(id fleet.NodeID, action fleet.ActionID, attempt int) {
	f.tell(id, &events.ActionRequested{Type: fleet.EnrollNode, ID: id, Action: action, Attempt: attempt, Epoch: 1, Generation: 1}, events.TypeEnrollNode)
}

func (f *file) failed(action fleet.ActionID) {
	f.tell("", &events.ActionFailed{Action: action, Reason: "timeout", Detail: "no answer"}, events.TypeActionFailed)
}

func (f file) explain(t *testing.T, s explain.Subject) explain.Explanation {
	t.Helper()
	e, err := explain.Read(t.Context(), f, events.DefaultSubjects(), s)
	if err != nil {
		t.Fatal(err)
	}
	return e.Explain(e.At())
}

var strict, n1 = explain.Subject{Kind: explain.KindStrict}, explain.Subject{Kind: explain.KindNode, Node: "n1"}

func TestALogThatCannotBeReadIsAnError(t *testing.T) {
	broken := errors.New("broken")
	f := file{err: broken}
	f.applied(text, 1)
	if _, err := explain.Read(t.Context(), f, events.DefaultSubjects(), strict); !errors.Is(err, broken) || !strings.Contains(err.Error(), "behind sequence 1") {
		t.Errorf("got %v", err)
	}
	gap := file{records: []eventlog.Record{{Sequence: 2}}}
	if _, err := explain.Read(t.Context(), gap, events.DefaultSubjects(), strict); !errors.Is(err, eventlog.ErrGap) {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := explain.Read(ended, file{}, events.DefaultSubjects(), strict); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Nobody guesses what an inventory asked for that is gone.
func TestAnInventoryThatIsGoneIsToldOf(t *testing.T) {
	f := file{}
	f.applied(text, 1)
	f.tell("n1", &events.NodeAppeared{Epoch: 1}, events.TypeNodeAppeared)
	f.texts = nil
	for _, s := range []explain.Subject{strict, n1} {
		x := f.explain(t, s)
		if !strings.Contains(x.Verdict, "cannot be told") || len(x.Unreadable) != 1 || x.Unreadable[0].Sequence != 1 || len(x.Pending) > 0 {
			t.Errorf("%s: %q, unreadable %+v, pending %+v", s.Kind, x.Verdict, x.Unreadable, x.Pending)
		}
	}
	f.applied(text+"# again\n", 2)
	if x := f.explain(t, n1); strings.Contains(x.Verdict, "cannot be told") || !x.Node.Desired.Is || x.Node.Desired.Since != 3 {
		t.Errorf("with the next inventory: %q, desired %+v", x.Verdict, x.Node.Desired)
	}
}

// A node that flaps for years is explained by its newest steps.
func TestStepsAreBounded(t *testing.T) {
	f := file{}
	f.applied(text, 1)
	for range explain.MaxSteps {
		f.tell("n1", &events.NodeAppeared{Epoch: 1, Session: "s"}, events.TypeNodeAppeared)
		f.tell("n1", &events.NodeLost{Epoch: 1}, events.TypeNodeLost)
	}
	x := f.explain(t, n1)
	if len(x.Steps) != explain.MaxSteps || x.Omitted != explain.MaxSteps+1 || x.Steps[explain.MaxSteps-1].Sequence != uint64(len(f.records)) {
		t.Errorf("%d steps, %d omitted", len(x.Steps), x.Omitted)
	}
	if x.Node.Observed.Since != 2 || x.Node.Desired.Since != 1 {
		t.Errorf("what is omitted is forgotten, too: %+v", x.Node)
	}
}

// An action is explained by what led to it, however much came afterwards.
func TestAnActionIsNotForgottenForWhatCameAfterIt(t *testing.T) {
	f := file{}
	f.applied(text, 1)
	f.published("n1", "enroll-1", 1)
	f.failed("enroll-1")
	for i := range explain.MaxSteps {
		id := fleet.ActionID(fmt.Sprintf("enroll-%d", i+2))
		f.published("n1", id, i+2)
		f.failed(id)
	}
	x := f.explain(t, explain.Found{Action: fleet.Action{Type: fleet.EnrollNode, ID: "n1"}, ActionID: "enroll-1"}.Subject())
	if x.Action == nil || x.Action.Sequence != 2 || x.Action.Outcome.Sequence != 3 || x.Action.SupersededBy != "enroll-2" || len(x.Action.Earlier) > 0 {
		t.Fatalf("%+v", x.Action)
	}
	if n := len(x.Steps); n != 3 || x.Steps[n-1].Sequence != 3 {
		t.Errorf("steps %+v", x.Steps)
	}
	last := f.explain(t, explain.Found{Action: fleet.Action{Type: fleet.EnrollNode, ID: "n1"}, ActionID: "enroll-201"}.Subject())
	if n := len(last.Action.Earlier); n != 50 || last.Action.Earlier[n-1].Action != "enroll-200" || last.Action.Earlier[n-1].Outcome == nil {
		t.Errorf("%d earlier attempts", n)
	}
	if !strings.HasPrefix(last.Verdict, "failed: timeout: no answer; now EnrollNode n1 is backing off until ") {
		t.Errorf("verdict %q", last.Verdict)
	}
}

func TestFind(t *testing.T) {
	f := file{}
	f.applied(text, 1)
	for i := range 12 {
		f.published("n1", fleet.ActionID(fmt.Sprintf("enroll-a%02d", i)), i+1)
	}
	f.published("n1", "enroll-a00", 1) // once more
	f.published("n2", "enroll-a", 1)
	f.tell("", &events.InventoryApplied{Digest: "old", Generation: 1}, events.TypeInventoryApplied)
	for name, c := range map[string]struct {
		actions []fleet.ActionID
		more    int
		node    bool
	}{
		"enroll-a03":  {actions: []fleet.ActionID{"enroll-a03"}},
		"enroll-a00":  {actions: []fleet.ActionID{"enroll-a00"}},
		"enroll-a":    {actions: []fleet.ActionID{"enroll-a"}},
		"enroll-a1":   {actions: []fleet.ActionID{"enroll-a10", "enroll-a11"}},
		"n1":          {node: true},
		"enroll-b":    {},
		"enroll-a000": {},
	} {
		m, err := explain.Find(f.Records(t.Context(), 0), name)
		var ids []fleet.ActionID
		for _, a := range m.Actions {
			ids = append(ids, a.ActionID)
		}
		if err != nil || !slices.Equal(ids, c.actions) || m.More != c.more || m.Node != c.node || m.Digest != inventory.Digest([]byte(text)) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if m, _ := explain.Find(f.Records(t.Context(), 0), "enroll-"); len(m.Actions) != explain.MaxFound || m.More != 3 {
		t.Errorf("%d and %d more", len(m.Actions), m.More)
	}
	broken := errors.New("broken")
	if _, err := explain.Find(file{err: broken}.Records(t.Context(), 0), "x"); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestWhatMayBeAnAction(t *testing.T) {
	for name, is := range map[string]bool{
		"enroll-": true, "enroll-9f2c5b0a": true, "disable-strict-0": true, "enable-strict-": true, "decommission-a": true, "issue-1": true,
		"enroll": false, "enroll-xyz": false, "enroll-9F": false, "node-1": false, "": false, "strict": false,
	} {
		if explain.IsActionID(name) != is {
			t.Errorf("%q: %v", name, !is)
		}
	}
}
