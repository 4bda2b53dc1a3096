package logfilter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/internal/logfilter"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestPlaces(t *testing.T) {
	for text, want := range map[string]logfilter.Place{
		"42":                        {Sequence: 42},
		"2h":                        {At: noon.Add(-2 * time.Hour)},
		"90m30s":                    {At: noon.Add(-90*time.Minute - 30*time.Second)},
		"2026-01-02T11:00:00Z":      {At: noon.Add(-time.Hour)},
		"2026-01-02T11:00:00+01:00": {At: noon.Add(-2 * time.Hour)},
	} {
		got, err := logfilter.ParsePlace(text, noon)
		if err != nil || got.Sequence != want.Sequence || !got.At.Equal(want.At) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "must be a sequence", "yesterday": "must be a sequence", "0": "begin at 1", "-3": "must be a sequence",
		"-2h": "above 0", "0s": "above 0", "2026-01-02": "must be a sequence", "1.5": "must be a sequence",
	} {
		if _, err := logfilter.ParsePlace(text, noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A place is found where a scan of the whole log finds it.
func TestAPlaceIsWhereAScanFindsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := noon
		log := eventlog.NewMemory(events.DefaultSubjects(), func() time.Time { return at })
		times := rapid.SliceOfN(rapid.IntRange(0, 2), 0, 12).Draw(t, "steps")
		for i, step := range times {
			at = at.Add(time.Duration(step) * time.Second)
			e := &events.Event{
				ID: fmt.Sprint(i), Source: events.SourceOperator, Type: events.TypeControlPaused, Time: noon,
				Data: &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeFleet}, Actor: "kim"},
			}
			if _, err := log.Append(context.Background(), eventlog.Entry{Event: e}); err != nil {
				t.Fatal(err)
			}
		}
		records, err := log.Read(context.Background(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		place := logfilter.Place{At: noon.Add(time.Duration(rapid.IntRange(-1, 25).Draw(t, "at")) * time.Second)}
		if rapid.Bool().Draw(t, "by sequence") {
			place = logfilter.Place{Sequence: rapid.Uint64Range(1, 15).Draw(t, "sequence")}
		}
		last := uint64(len(records))
		wantFirst, wantLast := last+1, uint64(0)
		for _, r := range records {
			behind, before := r.Sequence >= place.Sequence, r.Sequence <= place.Sequence
			if !place.At.IsZero() {
				behind, before = !r.Time.Before(place.At), !r.Time.After(place.At)
			}
			if behind {
				wantFirst = min(wantFirst, r.Sequence)
			}
			if before {
				wantLast = r.Sequence
			}
		}
		first, err := place.First(context.Background(), log, last)
		if err != nil || first != wantFirst {
			t.Fatalf("first is %d, %v, want %d", first, err, wantFirst)
		}
		end, err := place.Last(context.Background(), log, last)
		if err != nil || end != wantLast {
			t.Fatalf("last is %d, %v, want %d", end, err, wantLast)
		}
	})
}

func record(typ events.Type, node fleet.NodeID, data events.Payload, step *events.Step) eventlog.Record {
	return eventlog.Record{Event: &events.Event{Type: typ, Node: node, Data: data, Step: step}}
}

func TestWhatIsKept(t *testing.T) {
	plan := &events.Step{Plan: "plan-1"}
	records := map[string]eventlog.Record{
		"plan":    record(events.TypePlanDecided, "", &events.PlanDecided{Plan: "plan-1"}, nil),
		"action":  record(events.TypeEnrollNode, "a", &events.ActionRequested{Action: "enroll-1"}, plan),
		"issued":  record(events.TypeCredentialIssued, "a", &events.CredentialIssued{Action: "enroll-1"}, nil),
		"renewed": record(events.TypeCredentialIssued, "a", &events.CredentialIssued{Renews: "s"}, nil),
		"outcome": record(events.TypeActionSucceeded, "a", &events.ActionSucceeded{Action: "enroll-1"}, nil),
		"lost":    record(events.TypeNodeLost, "b", &events.NodeLost{}, nil),
		"pause":   record(events.TypeControlPaused, "", &events.ControlPaused{Target: fleet.Target{Scope: fleet.ScopeRegion, Region: "nyc"}}, nil),
		"unfit":   {},
	}
	for does, c := range map[string]struct {
		filter logfilter.Filter
		want   string
	}{
		"everything":           {logfilter.Filter{}, "action issued lost outcome pause plan renewed unfit"},
		"a node":               {logfilter.Filter{Node: "a"}, "action issued outcome renewed"},
		"a type":               {logfilter.Filter{Types: []string{"node.lost"}}, "lost"},
		"types by a beginning": {logfilter.Filter{Types: []string{"credential.*", "unfit"}}, "issued renewed unfit"},
		"a star alone":         {logfilter.Filter{Types: []string{"*"}}, "action issued lost outcome pause plan renewed"},
		"an action":            {logfilter.Filter{Action: "enroll-"}, "action issued outcome"},
		"a plan":               {logfilter.Filter{Plan: "plan-1", Actions: map[fleet.ActionID]bool{"enroll-1": true}}, "action issued outcome plan"},
		"a region":             {logfilter.Filter{Region: "nyc", Nodes: map[fleet.NodeID]bool{"b": true}}, "lost pause"},
		"both":                 {logfilter.Filter{Node: "a", Types: []string{"credential.issued"}, Action: "enroll-1"}, "issued"},
	} {
		var got []string
		for _, name := range []string{"action", "issued", "lost", "outcome", "pause", "plan", "renewed", "unfit"} {
			if c.filter.Keep(records[name]) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: kept %v, want %s", does, got, c.want)
		}
		if any := does != "everything"; c.filter.Any() != any {
			t.Errorf("%s: Any is %v", does, c.filter.Any())
		}
	}
}

func TestTypesAreThoseOfTheLog(t *testing.T) {
	for _, name := range append(logfilter.Types(), "unfit", "credential.*", "node.*", "*") {
		if err := logfilter.CheckType(name); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]string{
		"node.los": "there are node.appeared", "node.heartbeat": "there are node.", "nope": "types are such as", "": "types are such as", "nope.*": "types are such as",
	} {
		if err := logfilter.CheckType(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
