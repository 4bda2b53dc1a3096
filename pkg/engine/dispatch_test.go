package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// ledger is a Ledger written down by hand.
type ledger struct {
	outstanding int
	inFlight    map[fleet.NodeID]fleet.ActionID
	attempts    map[engine.Need]engine.Attempts
	epochs      map[fleet.NodeID]uint64
}

func (l ledger) Outstanding() int { return l.outstanding }

func (l ledger) InFlight(id fleet.NodeID) (fleet.ActionID, fleet.ActionType, bool) {
	action, ok := l.inFlight[id]
	return action, fleet.EnrollNode, ok
}

func (l ledger) Attempts(need engine.Need) engine.Attempts { return l.attempts[need] }

func (l ledger) Epoch(id fleet.NodeID) uint64 { return l.epochs[id] }

var (
	enrollA  = fleet.Action{Type: fleet.EnrollNode, ID: "a"}
	enrollB  = fleet.Action{Type: fleet.EnrollNode, ID: "b"}
	issueC   = fleet.Action{Type: fleet.IssueCredential, ID: "c"}
	removeD  = fleet.Action{Type: fleet.DecommissionNode, ID: "d"}
	removeE  = fleet.Action{Type: fleet.DecommissionNode, ID: "e"}
	relax    = fleet.Action{Type: fleet.DisableStrictEnforcement}
	enforce  = fleet.Action{Type: fleet.EnableStrictEnforcement}
	noon     = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	noJitter = engine.Policy{MaxInFlight: 2, BackoffBase: 10 * time.Second, BackoffCap: time.Minute}
)

func after(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }

// failed is what the ledger knows after n failures in a row, the last at noon.
func failed(n int) engine.Attempts {
	return engine.Attempts{Published: n, Failures: n, LastOutcome: noon}
}

func held(a fleet.Action, reason fleet.Reason, detail string) fleet.Held {
	return fleet.Held{Action: a, Reason: reason, Detail: detail}
}

const full = "2 actions may be in flight"

// dispatchTable is the whole rule of Dispatch, one sentence a row. At most two
// actions may be in flight; the base is 10s, the cap a minute, without jitter.
var dispatchTable = map[string]struct {
	plan    []fleet.Action
	ledger  ledger
	now     time.Time
	publish []fleet.Action
	held    []fleet.Held
	wake    time.Time
}{
	"an empty plan publishes nothing": {},
	"what nothing holds is published in plan order": {
		plan:    []fleet.Action{enrollA, issueC},
		publish: []fleet.Action{enrollA, issueC},
	},
	"a node with an action in flight waits, whatever the type": {
		plan:   []fleet.Action{removeD},
		ledger: ledger{outstanding: 1, inFlight: map[fleet.NodeID]fleet.ActionID{"d": "issue-1"}},
		held:   []fleet.Held{held(removeD, engine.ReasonInFlight, "waiting for the outcome of issue-1")},
	},
	"an enforcement action waits for the other one": {
		plan:   []fleet.Action{enforce},
		ledger: ledger{outstanding: 1, inFlight: map[fleet.NodeID]fleet.ActionID{"": "disable-strict-1"}},
		held:   []fleet.Held{held(enforce, engine.ReasonInFlight, "waiting for the outcome of disable-strict-1")},
	},
	"a node in flight holds up no other node and no flip": {
		plan:    []fleet.Action{removeD, enforce},
		ledger:  ledger{outstanding: 1, inFlight: map[fleet.NodeID]fleet.ActionID{"d": "decommission-1"}},
		publish: []fleet.Action{enforce},
		held:    []fleet.Held{held(removeD, engine.ReasonInFlight, "waiting for the outcome of decommission-1")},
	},
	"a second action for the same node of a hand-made plan waits for the first": {
		plan:    []fleet.Action{relax, enforce},
		publish: []fleet.Action{relax},
		held: []fleet.Held{held(enforce, engine.ReasonInFlight,
			"waiting for the outcome of "+string(engine.ActionIDFor(relax, 0, 7, 1)))},
	},
	"the first failure waits the base": {
		plan:   []fleet.Action{enrollA},
		ledger: ledger{attempts: map[engine.Need]engine.Attempts{enrollA: failed(1)}},
		now:    after(9),
		held:   []fleet.Held{held(enrollA, engine.ReasonBackingOff, "until 2026-01-02T12:00:10Z, after 1 failure")},
		wake:   after(10),
	},
	"the moment the wait ends, the next attempt is published": {
		plan:    []fleet.Action{enrollA},
		ledger:  ledger{attempts: map[engine.Need]engine.Attempts{enrollA: failed(1)}},
		now:     after(10),
		publish: []fleet.Action{enrollA},
	},
	"each further failure doubles the wait, and the earliest end wakes": {
		plan: []fleet.Action{enrollA, enrollB},
		ledger: ledger{attempts: map[engine.Need]engine.Attempts{
			enrollA: failed(3), enrollB: failed(2),
		}},
		now: after(1),
		held: []fleet.Held{
			held(enrollA, engine.ReasonBackingOff, "until 2026-01-02T12:00:40Z, after 3 failures in a row"),
			held(enrollB, engine.ReasonBackingOff, "until 2026-01-02T12:00:20Z, after 2 failures in a row"),
		},
		wake: after(20),
	},
	"the wait never exceeds the cap, after however many failures": {
		plan:   []fleet.Action{enrollA},
		ledger: ledger{attempts: map[engine.Need]engine.Attempts{enrollA: failed(1 << 40)}},
		now:    after(59),
		held:   []fleet.Held{held(enrollA, engine.ReasonBackingOff, "until 2026-01-02T12:01:00Z, after 1099511627776 failures in a row")},
		wake:   after(60),
	},
	"a refusal waits the base once, whatever failed before": {
		plan: []fleet.Action{enrollA},
		ledger: ledger{attempts: map[engine.Need]engine.Attempts{
			enrollA: {Published: 4, Failures: 3, LastOutcome: noon, LastRefused: true, LastError: "no_longer_wanted: the node is present already"},
		}},
		now:  after(1),
		held: []fleet.Held{held(enrollA, engine.ReasonBackingOff, "until 2026-01-02T12:00:10Z, after a refusal: no_longer_wanted: the node is present already")},
		wake: after(10),
	},
	"a need that succeeded last time and is wanted again waits for nothing": {
		plan: []fleet.Action{enrollA},
		ledger: ledger{attempts: map[engine.Need]engine.Attempts{
			enrollA: {Published: 1, LastOutcome: noon},
		}},
		publish: []fleet.Action{enrollA},
	},
	"a node that backs off leaves its room to others": {
		plan:    []fleet.Action{enrollA, enrollB, issueC},
		ledger:  ledger{attempts: map[engine.Need]engine.Attempts{enrollA: failed(1)}},
		publish: []fleet.Action{enrollB, issueC},
		held:    []fleet.Held{held(enrollA, engine.ReasonBackingOff, "until 2026-01-02T12:00:10Z, after 1 failure")},
		wake:    after(10),
	},
	"over the cap the rest of the plan waits, later phases and the flip included": {
		plan:    []fleet.Action{removeD, removeE, enforce},
		ledger:  ledger{outstanding: 1},
		publish: []fleet.Action{removeD},
		held: []fleet.Held{
			held(removeE, engine.ReasonMaxInFlight, full), held(enforce, engine.ReasonMaxInFlight, full),
		},
	},
	"a cap that was lowered below what is outstanding publishes nothing": {
		plan:   []fleet.Action{enrollA},
		ledger: ledger{outstanding: 9},
		held:   []fleet.Held{held(enrollA, engine.ReasonMaxInFlight, full)},
	},
	"the reason that lasts is given before the cap": {
		plan: []fleet.Action{enrollA, enrollB},
		ledger: ledger{
			outstanding: 2,
			inFlight:    map[fleet.NodeID]fleet.ActionID{"a": "enroll-1"},
			attempts:    map[engine.Need]engine.Attempts{enrollB: failed(1)},
		},
		held: []fleet.Held{
			held(enrollA, engine.ReasonInFlight, "waiting for the outcome of enroll-1"),
			held(enrollB, engine.ReasonBackingOff, "until 2026-01-02T12:00:10Z, after 1 failure"),
		},
		wake: after(10),
	},
}

func TestDispatch(t *testing.T) {
	for sentence, row := range dispatchTable {
		t.Run(sentence, func(t *testing.T) {
			if row.now.IsZero() {
				row.now = noon
			}
			got := engine.Dispatch(fleet.Plan{Actions: row.plan}, row.ledger, 7, noJitter, row.now)
			var published []fleet.Action
			for _, step := range got.Publish {
				published = append(published, step.Action)
			}
			if diff := cmp.Diff(row.publish, published); diff != "" {
				t.Errorf("published (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.held, got.Held); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
			if !got.Wake.Equal(row.wake) {
				t.Errorf("wake at %v, want %v", got.Wake, row.wake)
			}
		})
	}
}

func TestStepCarriesWhatItsIDFollowsFrom(t *testing.T) {
	l := ledger{
		attempts: map[engine.Need]engine.Attempts{enrollA: {Published: 2}},
		epochs:   map[fleet.NodeID]uint64{"a": 5},
	}
	got := engine.Dispatch(fleet.Plan{Actions: []fleet.Action{enrollA}}, l, 7, noJitter, noon)
	want := []engine.Step{{
		Action: enrollA, ActionID: engine.ActionIDFor(enrollA, 5, 7, 3), Attempt: 3, Epoch: 5, Generation: 7,
	}}
	if diff := cmp.Diff(want, got.Publish); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
