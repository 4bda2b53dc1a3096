package audit_test

import (
	"path/filepath"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// kept are the exports of histories that must prove for ever, named after the
// version of the rule that their plans were decided by. A failure here means that
// a rule, the fold, or the reading of inventories has changed for what is on
// people's logs already: see docs/adr/0023.
func kept(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/rule-*.jsonl")
	if err != nil || len(names) == 0 {
		t.Fatalf("no kept history: %v", err)
	}
	return names
}

func open(t testing.TB, name string) *archive.File {
	t.Helper()
	file, err := archive.Open(name, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	return file
}

func TestWhatWasProvedOnceIsProvedForEver(t *testing.T) {
	for _, name := range kept(t) {
		file := open(t, name)
		report, err := audit.Run(t.Context(), file, audit.Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, d := range report.Mismatches {
			t.Errorf("%s: %s", name, d)
		}
		whole, err := file.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if report.Root != whole.Root.String() || report.Records != whole.Size {
			t.Errorf("%s: root %s of %d records, the file says %s of %d", name, report.Root, report.Records, whole.Root, whole.Size)
		}
		if report.Plans == 0 || report.Actions == 0 || report.Proofs == 0 {
			t.Errorf("%s proves nothing: %+v", name, report)
		}
	}
}

// What is kept must have what a rule may be changed in.
func TestTheKeptHistoriesHaveAllThatIsDecidedBy(t *testing.T) {
	told, held, versions := make(map[events.Type]bool), make(map[fleet.Reason]bool), make(map[string]bool)
	sight := false
	for _, name := range kept(t) {
		for r, err := range open(t, name).Records(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			told[r.Event.Type] = true
			if d, ok := r.Event.Data.(*events.PlanDecided); ok {
				versions[d.RuleVersion], sight = true, sight || !d.SightSince.IsZero()
				for _, h := range d.Held {
					held[h.Reason] = true
				}
			}
		}
	}
	for _, v := range decide.RuleVersions() {
		if !versions[v] {
			t.Errorf("no history is kept of rule version %s", v)
		}
	}
	for _, want := range []fleet.Reason{"paused", "blind_fleet", "removal_budget", "backing_off", "in_flight"} {
		if !held[want] {
			t.Errorf("nothing is held for %s", want)
		}
	}
	for _, want := range []events.Type{
		events.TypeEnforcementEnabled, events.TypeEnforcementDisabled, events.TypeActionFailed, events.TypePlanApproved,
		events.TypeNodeLost, events.TypeNodeRemoved, events.TypeTrustDelegated, events.TypeControlPaused,
	} {
		if !told[want] {
			t.Errorf("nothing is told of %s", want)
		}
	}
	if !sight {
		t.Error("no plan says since when its planner saw again")
	}
}

// A file and a log of the same records are walked through alike.
func TestALogAndItsExportHaveTheSameDecisions(t *testing.T) {
	for _, name := range kept(t) {
		file := open(t, name)
		log := eventlog.NewMemory(events.DefaultSubjects(), nil)
		for r, err := range file.Records(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := log.AppendRaw(t.Context(), r.Message); err != nil {
				t.Fatal(err)
			}
		}
		live, err := audit.NewLive(t.Context(), log, file.Inventory)
		if err != nil {
			t.Fatal(err)
		}
		of := func(s audit.Source) (decisions []audit.Decision, last *projection.State) {
			st, err := audit.Walk(t.Context(), s, audit.Visitor{Decision: func(st *projection.State, d audit.Decision) error {
				if st.Sequence() != d.Basis {
					t.Errorf("%s: decision on %d is shown on %d", name, d.Basis, st.Sequence())
				}
				decisions = append(decisions, d)
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			return decisions, st
		}
		a, atEnd := of(file)
		b, again := of(live)
		if len(a) != len(b) || atEnd.Sequence() != again.Sequence() || live.End() != again.Sequence() {
			t.Errorf("%s: %d decisions up to %d, and %d up to %d", name, len(a), atEnd.Sequence(), len(b), again.Sequence())
		}
	}
}
