package projection_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

const signing = "appeared n1\n issued n1 serial=a1 nonce=x\n proved n1 serial=a1 nonce=x\n"

// TestNodeRules has one sentence for each rule on nodes.
func TestNodeRules(t *testing.T) {
	for rule, c := range map[string]struct{ given, want string }{
		"an unknown node cannot be lost, leave, be removed or be given a credential": {
			"lost n1\n left n1\n removed n1\n issued n1\n proved n1\n expired n1\n revoked n1", "permissive\n"},
		"a node that appears is present and cannot sign":                    {"appeared n1", "permissive\nn1 present unsigned\n"},
		"nobody cannot appear":                                              {"appeared", "permissive\n"},
		"nodes stand in the order of their first appearance":                {"appeared n2\n appeared n1\n lost n2\n appeared n2", "permissive\nn2 present unsigned\nn1 present unsigned\n"},
		"a lost node keeps its credential":                                  {signing + "lost n1", "permissive\nn1 absent signs\n"},
		"a node that left keeps its credential":                             {signing + "left n1", "permissive\nn1 absent signs\n"},
		"a fact of an earlier or later epoch counts for nothing":            {signing + "lost n1 epoch=2\n revoked n1 epoch=0\n removed n1 epoch=2", "permissive\nn1 present signs\n"},
		"the wrong nonce proves nothing":                                    {"appeared n1\n issued n1 nonce=x\n proved n1 nonce=y", "permissive\nn1 present unsigned\n"},
		"the wrong serial proves nothing":                                   {"appeared n1\n issued n1 serial=a1\n proved n1 serial=a2", "permissive\nn1 present unsigned\n"},
		"another node's answer proves nothing":                              {"appeared n1\n appeared n2\n issued n1\n proved n2", "permissive\nn1 present unsigned\nn2 present unsigned\n"},
		"an answer to a challenge that was replaced proves nothing":         {"appeared n1\n issued n1 serial=a1\n issued n1 serial=a2\n proved n1 serial=a1", "permissive\nn1 present unsigned\n"},
		"an answer before its challenge proves nothing":                     {"appeared n1\n proved n1\n issued n1", "permissive\nn1 present unsigned\n"},
		"a new challenge does not end what was proved":                      {signing + "issued n1 serial=a2", "permissive\nn1 present signs\n"},
		"the end of a challenge that replaced nothing yet leaves the proof": {signing + "issued n1 serial=a2\n revoked n1 serial=a2", "permissive\nn1 present signs\n"},
		"the end of another credential ends nothing":                        {signing + "expired n1 serial=a0", "permissive\nn1 present signs\n"},
		"an expired credential signs no more":                               {signing + "expired n1 serial=a1", "permissive\nn1 present unsigned\n"},
		"a revoked credential signs no more":                                {signing + "revoked n1 serial=a1", "permissive\nn1 present unsigned\n"},
		"an expired challenge cannot be answered":                           {"appeared n1\n issued n1\n expired n1\n proved n1", "permissive\nn1 present unsigned\n"},
		"a revoked credential cannot be proved again":                       {signing + "revoked n1\n proved n1", "permissive\nn1 present unsigned\n"},
		"a node that appears with another key cannot sign":                  {signing + "appeared n1 key=k2", "permissive\nn1 present unsigned\n"},
		"a node that appears in another session with the same key can":      {signing + "appeared n1 session=s2", "permissive\nn1 present signs\n"},
		"a removed node is not observed":                                    {signing + "appeared n2\n removed n1", "permissive\nn2 present unsigned\n"},
		"a removed node does not appear again in its old epoch":             {"appeared n1\n removed n1\n appeared n1", "permissive\n"},
		"a returned node stands last and has no credential":                 {signing + "appeared n2\n removed n1\n appeared n1 epoch=2", "permissive\nn2 present unsigned\nn1 present unsigned\n"},
		"enforcement follows its facts":                                     {"enabled\n disabled\n enabled", "strict\n"},
	} {
		t.Run(rule, func(t *testing.T) {
			if got := tellObserved(after(t, c.given)); got != c.want {
				t.Errorf("got:\n%swant:\n%s", got, c.want)
			}
		})
	}
}

// TestLedgerRules has one sentence for each rule on actions.
func TestLedgerRules(t *testing.T) {
	const tried = "enroll n1 action=e1 generation=1\n failed e1\n"
	for rule, c := range map[string]struct {
		given             string
		generation        uint64
		published, failed int
		flying            fleet.ActionID
	}{
		"a need that was never tried has no attempts":          {"appeared n1", 1, 0, 0, ""},
		"a published action is in flight":                      {"enroll n1 action=e1", 1, 1, 0, "e1"},
		"an outcome ends the flight":                           {tried, 1, 1, 1, ""},
		"failures add up":                                      {tried + "enroll n1 action=e2 attempt=2\n failed e2", 1, 2, 2, ""},
		"a success forgives the failures":                      {tried + "enroll n1 action=e2 attempt=2\n succeeded e2", 1, 2, 0, ""},
		"a refusal neither adds nor forgives":                  {tried + "enroll n1 action=e2 attempt=2\n refused e2", 1, 2, 1, ""},
		"at another generation nothing was tried":              {tried, 2, 0, 0, ""},
		"a new generation starts afresh":                       {tried + "enroll n1 action=e2 generation=2", 2, 1, 0, "e2"},
		"an action does not fly twice":                         {tried + "enroll n1 action=e1", 1, 1, 1, ""},
		"an action in flight is not published again":           {"enroll n1 action=e1\n enroll n1 action=e1 attempt=2", 1, 1, 0, "e1"},
		"an action of another epoch does not fly":              {"enroll n1 action=e1 epoch=2", 1, 0, 0, ""},
		"an action without a number does not fly":              {"enroll n1 action=e1 attempt=0", 1, 0, 0, ""},
		"of two in flight the older is named":                  {"enroll n1 action=e1\n issue n1 action=i1", 1, 1, 0, "e1"},
		"when the older has ended the other is named":          {"enroll n1 action=e1\n issue n2 action=i2\n issue n1 action=i1\n succeeded e1", 1, 1, 0, "i1"},
		"when the other has ended the older is still named":    {"enroll n1 action=e1\n issue n1 action=i1\n succeeded i1", 1, 1, 0, "e1"},
		"generation 0 is one like any other":                   {"enroll n1 action=e1 generation=0\n failed e1", 0, 1, 1, ""},
		"an outcome counts under its own generation only":      {"enroll n1 action=e1\n enroll n1 action=e2 generation=2\n failed e1", 2, 1, 0, "e2"},
		"the end of a life forgets its attempts":               {"appeared n1\n" + tried + "removed n1", 1, 0, 0, ""},
		"an action in flight outlives its node":                {"appeared n1\n enroll n1 action=e1\n removed n1", 1, 0, 0, "e1"},
		"a new inventory forgets ids that never appeared":      {tried + "inventory d generation=2", 1, 0, 0, ""},
		"a new inventory keeps those with an action in flight": {"enroll n1 action=e1\n inventory d generation=2", 1, 1, 0, "e1"},
		"a new inventory keeps the attempts at living nodes":   {"appeared n1\n" + tried + "inventory d generation=2", 1, 1, 1, ""},
		"an outcome of what was forgotten counts for who tries the same again": {
			"enroll n1 action=e1 generation=2 attempt=2\n inventory d generation=2\n enroll n1 action=e2 generation=2\n failed e1", 2, 1, 1, "e2"},
		"an outcome of what was forgotten counts for nobody else": {
			"enroll n1 action=e1 generation=2 attempt=2\n inventory d generation=2\n failed e1", 2, 0, 0, ""},
	} {
		t.Run(rule, func(t *testing.T) {
			l := after(t, c.given).Ledger()
			a := l.AttemptsAt(fleet.Action{Type: fleet.EnrollNode, ID: "n1"}, 1, c.generation)
			if a.Published != c.published || a.Failures != c.failed {
				t.Errorf("got %+v, want %d published and %d failures", a, c.published, c.failed)
			}
			if flying, _, busy := l.InFlight("n1"); flying != c.flying || busy != (c.flying != "") {
				t.Errorf("in flight is %q %v, want %q", flying, busy, c.flying)
			}
		})
	}
}

func TestTheFleetsOwnActionsAreAskedForByTheEmptyID(t *testing.T) {
	l := after(t, "enroll n1 action=e1\n enable action=flip").Ledger()
	if id, kind, busy := l.InFlight(""); id != "flip" || kind != fleet.EnableStrictEnforcement || !busy {
		t.Errorf("got %q %q %v", id, kind, busy)
	}
	if l.Epoch("") != 1 || l.Epoch("never-heard-of") != 1 {
		t.Error("an id's first epoch must be 1")
	}
	f, ok := l.Flight("e1")
	want := projection.Flight{
		Action: fleet.Action{Type: fleet.EnrollNode, ID: "n1"}, ID: "e1", Plan: "p1", Sequence: 1, Step: 1, Steps: 1,
		Attempt: 1, Epoch: 1, Generation: 1, Basis: 1, At: storedAt(1),
	}
	if !ok || f != want || l.Outstanding() != 2 {
		t.Errorf("got %+v, want %+v", f, want)
	}
}

func TestAnEventThatContradictsItselfIsUnfit(t *testing.T) {
	asks := func(kind fleet.ActionType, id fleet.NodeID) events.Payload {
		return &events.ActionRequested{Type: kind, ID: id, Action: "a", Attempt: 1, Epoch: 1, Generation: 1}
	}
	for why, e := range map[string]*events.Event{
		"the data of another type":      {Type: events.TypeNodeAppeared, Node: "n1", Data: &events.NodeLost{Epoch: 1}},
		"no data":                       {Type: events.TypeNodeAppeared, Node: "n1"},
		"a type nobody knows":           {Type: "node.sang", Node: "n1"},
		"an action of another type":     {Type: events.TypeEnrollNode, Node: "n1", Data: asks(fleet.IssueCredential, "n1")},
		"an action on another node":     {Type: events.TypeEnrollNode, Node: "n1", Data: asks(fleet.EnrollNode, "n2")},
		"an enrollment of nobody":       {Type: events.TypeEnrollNode, Data: asks(fleet.EnrollNode, "")},
		"an enforcement action on one":  {Type: events.TypeEnableStrictEnforcement, Node: "n1", Data: asks(fleet.EnableStrictEnforcement, "n1")},
		"an outcome without its action": {Type: events.TypeActionFailed, Data: &events.ActionSucceeded{Action: "a"}},
	} {
		t.Run(why, func(t *testing.T) {
			s := projection.New()
			if change := apply(t, s, e); !change.Empty() || s.Unfit() != 1 || len(s.Ignored()) != 0 || s.Ledger().Outstanding() != 0 {
				t.Errorf("change %+v, unfit %d, ignored %v", change, s.Unfit(), s.Ignored())
			}
		})
	}
}

func TestTheEndOfALifeIsRemembered(t *testing.T) {
	s := after(t, "appeared n1\n removed n1\n appeared n1 epoch=2\n appeared n2")
	if !s.RemovedAt("n1").Equal(storedAt(2)) || !s.RemovedAt("n2").IsZero() || !s.RemovedAt("n3").IsZero() {
		t.Errorf("removed at %v, %v, %v", s.RemovedAt("n1"), s.RemovedAt("n2"), s.RemovedAt("n3"))
	}
}

func TestChangeNamesWhatAnEventTouched(t *testing.T) {
	s := projection.New()
	for _, c := range []struct {
		event string
		want  projection.Change
	}{
		{"appeared n1", projection.Change{Nodes: []fleet.NodeID{"n1"}}},
		{"appeared n1", projection.Change{}},
		{"issued n1", projection.Change{Nodes: []fleet.NodeID{"n1"}}},
		{"inventory d", projection.Change{Inventory: true}},
		{"trust root", projection.Change{Trust: true}},
		{"root r1", projection.Change{Trust: true}},
		{"request activate", projection.Change{}},
		{"request prepare", projection.Change{Trust: true}},
		{"held prepare", projection.Change{Trust: true}},
		{"held prepare", projection.Change{}},
		{"bundle n1 roots=r1", projection.Change{Nodes: []fleet.NodeID{"n1"}}},
		{"bundle n1 roots=r1", projection.Change{}},
		{"trust root", projection.Change{}},
		{"enabled", projection.Change{Enforcement: true}},
		{"plan p1", projection.Change{}},
		{"decommission n1 action=d1", projection.Change{Ledger: true}},
		{"removed n1", projection.Change{Nodes: []fleet.NodeID{"n1"}}},
		{"succeeded d1", projection.Change{Ledger: true}},
		{"unfit", projection.Change{}},
	} {
		got := apply(t, s, parseLine(c.event).event())
		if !slices.Equal(got.Nodes, c.want.Nodes) || got.Inventory != c.want.Inventory || got.Trust != c.want.Trust ||
			got.Enforcement != c.want.Enforcement || got.Ledger != c.want.Ledger {
			t.Errorf("%s: got %+v, want %+v", c.event, got, c.want)
		}
	}
}

func TestFencesMoveWithEveryMessageOnTheirSubject(t *testing.T) {
	s := after(t, "inventory d\n trust r\n enabled\n plan p\n lost n1\n inventory old generation=0\n trust r\n enabled\n plan q\n removed n1 epoch=7")
	got := []uint64{s.LastInventory(), s.LastTrust(), s.LastEnforcement(), s.LastPlan(), s.LastNode("n1"), s.LastNode("n2")}
	if want := []uint64{6, 7, 8, 9, 10, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s.Inventory().Sequence != 1 {
		t.Errorf("the inventory in force was applied at 1, got %d", s.Inventory().Sequence)
	}
}

func TestSkipMovesTheFenceOfAMessageThatDoesNotFit(t *testing.T) {
	s, subjects := projection.New(), events.DefaultSubjects()
	for i, subject := range []string{
		subjects.Plan(), subjects.Enforcement(), subjects.Inventory(), subjects.Trust(), subjects.Node("a/b"),
		"fleet.events.node.not%canonical", "fleet.actions.x", "",
	} {
		if err := s.Skip(uint64(i+1), subjects, subject); err != nil {
			t.Fatal(err)
		}
	}
	got := []uint64{s.LastPlan(), s.LastEnforcement(), s.LastInventory(), s.LastTrust(), s.LastNode("a/b"), s.Sequence(), uint64(s.Unfit())}
	if want := []uint64{1, 2, 3, 4, 5, 8, 8}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAGapChangesNothing(t *testing.T) {
	s := after(t, signing)
	before := everything(s, "n1")
	for _, seq := range []uint64{0, 3, 5, 1 << 63} {
		if _, err := s.Apply(seq, midnight, parseLine("removed n1").event()); !errors.Is(err, projection.ErrGap) {
			t.Errorf("apply sequence %d after 3: got %v, want ErrGap", seq, err)
		}
		if err := s.Skip(seq, events.DefaultSubjects(), "fleet.events.plan"); !errors.Is(err, projection.ErrGap) {
			t.Errorf("skip sequence %d after 3: got %v, want ErrGap", seq, err)
		}
	}
	if now := everything(s, "n1"); now != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, now)
	}
	gap := slices.Values([]projection.Fact{{Sequence: 4}, {Sequence: 6}, {Sequence: 5}})
	if err := projection.Fold(s, gap); !errors.Is(err, projection.ErrGap) || s.Sequence() != 4 {
		t.Errorf("fold over a gap: %v, at sequence %d", err, s.Sequence())
	}
}

// A certificate may be for the key that a node turns to only afterwards.
func TestACertificateIsTheSameBeforeAndAfterItsKeyIsTheNodes(t *testing.T) {
	for _, key := range []string{"k2", "a-key-that-is-too-long-to-stand-in-the-place-of-one"} {
		s := after(t, "appeared n1\n issued n1 serial=a1 key="+key+"\n appeared n1 key="+key+"\n issued n1 serial=a1 key="+key)
		if got := s.Ignored()[string(events.TypeCredentialIssued)]; got != 1 {
			t.Errorf("key %s: %d repetitions, want 1", key, got)
		}
		if n, _ := s.Node("n1"); n.Issued == nil || n.Issued.KeyFingerprint != key || n.KeyFingerprint != key {
			t.Errorf("key %s: %+v", key, n)
		}
	}
}
