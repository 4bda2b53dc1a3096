package logline

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/schemas"
)

// examples are the events that the schemas show, as records of a log.
func examples(t *testing.T) []eventlog.Record {
	t.Helper()
	files, err := fs.Glob(schemas.Examples, "examples/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	var records []eventlog.Record
	for i, name := range files {
		text, err := fs.ReadFile(schemas.Examples, name)
		if err != nil {
			t.Fatal(err)
		}
		typ := events.Type(strings.TrimSuffix(path.Base(name), ".json"))
		d, ok := events.Describe(typ)
		if !ok {
			t.Fatalf("%s shows no known type", name)
		}
		if d.Channel != events.ChannelLog && d.Channel != events.ChannelAction {
			continue
		}
		records = append(records, eventlog.Record{
			Sequence: uint64(i + 1), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Event: decode(t, text),
		})
	}
	return records
}

// decode reads an event in JSON format as one that came in structured mode.
func decode(t *testing.T, text []byte) *events.Event {
	t.Helper()
	var ce cloudevent.Event
	if err := json.Unmarshal(text, &ce); err != nil {
		t.Fatal(err)
	}
	header := map[string][]string{"Content-Type": {"application/cloudevents+json"}}
	for _, subject := range subjectsOf(t, ce) {
		if e, err := events.Decode(events.DefaultSubjects(), events.Message{Subject: subject, Header: header, Data: text}); err == nil {
			return e
		}
	}
	t.Fatalf("example %s does not decode", ce.Type())
	return nil
}

// subjectsOf lists the subjects that the event may stand on.
func subjectsOf(t *testing.T, ce cloudevent.Event) []string {
	t.Helper()
	var data struct{ Action string }
	if err := json.Unmarshal(ce.Data(), &data); err != nil {
		t.Fatal(err)
	}
	s := events.DefaultSubjects()
	token := events.Token("")
	if ce.Subject() != "" {
		token = events.Token(fleet.NodeID(ce.Subject()))
	}
	return []string{
		s.Inventory(), s.Trust(), s.Plan(), s.Enforcement(), "fleet.events.control", s.Refusal(), s.Checkpoint(), s.Partition(),
		"fleet.events.node." + token, "fleet.events.outcome." + data.Action,
		"fleet.actions." + ce.Type(), "fleet.actions." + ce.Type() + "." + token,
	}
}

// Whoever can write to the log must not be able to write on the screen.
func TestNoLineMovesTheCursor(t *testing.T) {
	e := &events.Event{Type: events.TypeInventoryApplied, Data: &events.InventoryApplied{Digest: "sha256:x", Generation: 1, Actor: "\x1b[2J\r\nann"}}
	for what, r := range map[string]eventlog.Record{
		"a subject": {Message: events.Message{Subject: "fleet.events.\x1b[31m"}, Err: errors.New("no\nsuch")},
		"an actor":  {Event: e},
	} {
		if text := Text(r); strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%s: %q", what, text)
		}
	}
}

func TestEveryEventOfTheLogHasALineForPeopleAndOneForMachines(t *testing.T) {
	for _, r := range examples(t) {
		text := Text(r)
		if !strings.Contains(text, string(r.Event.Type)) || !strings.Contains(text, string(r.Event.Node)) || strings.Contains(text, "\n") {
			t.Errorf("text of %s: %q", r.Event.Type, text)
		}
		line, err := JSON(r)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Seq   uint64
			Event cloudevent.Event
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("line of %s: %v", r.Event.Type, err)
		}
		if got.Seq != r.Sequence || got.Event.Validate() != nil || got.Event.Type() != string(r.Event.Type) || got.Event.Subject() != string(r.Event.Node) {
			t.Errorf("line of %s: %s", r.Event.Type, line)
		}
	}
}

func TestAMessageThatDoesNotFitIsShownWithItsReason(t *testing.T) {
	r := eventlog.Record{
		Sequence: 7, Err: errors.New("unknown_type: no such type"),
		Message: events.Message{Subject: "fleet.events.plan", Data: []byte("garbage")},
	}
	if text := Text(r); !strings.Contains(text, "fleet.events.plan") || !strings.Contains(text, "unknown_type") {
		t.Errorf("text %q", text)
	}
	line, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"seq":7,"time":"0001-01-01T00:00:00Z","subject":"fleet.events.plan","error":"unknown_type: no such type","data":"Z2FyYmFnZQ=="}`
	if string(line) != want {
		t.Errorf("line %s", line)
	}
}

func TestTheLinesForPeopleFitTheirColumns(t *testing.T) {
	records := examples(t)
	explains := map[events.Type]bool{events.TypeInventoryApplied: true, events.TypeActionFailed: true, events.TypeActionRefused: true, events.TypePlanApproved: true, events.TypeMessageRefused: true, events.TypeRetryRequested: true, events.TypePartitionApplied: true}
	var columns Columns
	columns.See(records)
	for _, r := range records {
		text := columns.Text(r)
		if n := utf8.RuneCountInString(text); n > 110 && !explains[r.Event.Type] {
			t.Errorf("%d columns: %s", n, text)
		}
		if strings.Contains(text, "sha256:") || strings.Contains(text, " 1 actions") || strings.Contains(text, " 0s") || strings.HasSuffix(text, " ") {
			t.Errorf("hard to read: %q", text)
		}
		if what := Describe(r.Event); r.Event.Node != "" && what != "" && strings.Index(text, "  "+what) != 48+len("region/nyc/node-2") {
			t.Errorf("not aligned: %q", text)
		}
	}
}

func TestALongNodeIsCut(t *testing.T) {
	for does, c := range map[string]struct {
		id    fleet.NodeID
		width int
		want  string
	}{
		"a short one is filled up":        {"a", 3, "a  "},
		"one that fits stays":             {"abc", 3, "abc"},
		"one that is too long":            {"abcd", 3, "ab…"},
		"no column is wider than allowed": {fleet.NodeID(strings.Repeat("x", 60)), 60, strings.Repeat("x", MaxNode-1) + "…"},
	} {
		if got := Fit(c.id, c.width); got != c.want {
			t.Errorf("%s: %q, want %q", does, got, c.want)
		}
	}
	if Took(0) != "under 1ms" || Took(1500) != "1.5s" {
		t.Errorf("took %s and %s", Took(0), Took(1500))
	}
}
