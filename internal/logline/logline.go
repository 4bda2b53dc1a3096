// Package logline writes records of the log for people and for machines.
package logline

import (
	"encoding/json"
	"fmt"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// line is one record as JSON. A message that is no event of a known type has
// an error and its raw data instead of an event.
type line struct {
	Seq     uint64            `json:"seq"`
	Time    time.Time         `json:"time"`
	Subject string            `json:"subject"`
	Event   *cloudevent.Event `json:"event,omitempty"`
	Error   string            `json:"error,omitempty"`
	Data    []byte            `json:"data,omitempty"`
}

// JSON returns the record as one line of JSON without the line end.
func JSON(r eventlog.Record) ([]byte, error) {
	l := line{Seq: r.Sequence, Time: r.Time.UTC(), Subject: r.Message.Subject}
	if r.Event == nil {
		l.Error, l.Data = fmt.Sprint(r.Err), r.Message.Data
		return json.Marshal(l)
	}
	ce, err := r.Event.CloudEvent()
	if err != nil {
		return nil, fmt.Errorf("convert record %d: %w", r.Sequence, err)
	}
	l.Event = &ce
	return json.Marshal(l)
}

// Text returns the record as one line for a person, without the line end:
// local time, sequence, type, node and what it says.
func Text(r eventlog.Record) string {
	head := fmt.Sprintf("%s %6d  ", r.Time.Local().Format("15:04:05.000"), r.Sequence)
	if r.Event == nil {
		return head + fmt.Sprintf("%-26s %s: %v", "(unfit)", r.Message.Subject, r.Err)
	}
	text := head + fmt.Sprintf("%-26s", r.Event.Type)
	if r.Event.Node != "" {
		text += " " + string(r.Event.Node)
	}
	if what := Describe(r.Event); what != "" {
		text += "  " + what
	}
	return text
}

// Describe says in a few words what an event says beyond its type and node.
func Describe(e *events.Event) string {
	switch d := e.Data.(type) {
	case *events.InventoryApplied:
		return fmt.Sprintf("generation %d by %s, %s", d.Generation, d.Actor, short(d.Digest)) + note(d.Note)
	case *events.TrustPublished:
		return d.TrustDomain + ", root " + short(d.Fingerprint)
	case *events.NodeLost:
		return string(d.Reason)
	case *events.CredentialIssued:
		return fmt.Sprintf("serial %s until %s", short(d.Serial), d.NotAfter.UTC().Format(time.RFC3339))
	case *events.CredentialProved:
		return "serial " + short(d.Serial)
	case *events.CredentialExpired:
		return "serial " + short(d.Serial)
	case *events.CredentialRevoked:
		return fmt.Sprintf("serial %s, %s", short(d.Serial), d.Reason)
	case *events.PlanApproved:
		return fmt.Sprintf("%s by %s, on sequence %d", d.Approval, d.Actor, d.Basis) + note(d.Note)
	case *events.ControlPaused:
		return fmt.Sprintf("%s by %s", d.Target, d.Actor) + note(d.Note)
	case *events.ControlResumed:
		return fmt.Sprintf("%s by %s", d.Target, d.Actor) + note(d.Note)
	case *events.PlanDecided:
		return fmt.Sprintf("%s: %d actions, %d held, on sequence %d", d.Plan, len(d.Actions), d.HeldTotal, d.Basis)
	case *events.ActionRequested:
		return fmt.Sprintf("%s, attempt %d", d.Action, d.Attempt)
	default:
		return describeOutcome(e)
	}
}

func describeOutcome(e *events.Event) string {
	switch d := e.Data.(type) {
	case *events.ActionSucceeded:
		return fmt.Sprintf("%s in %s", action(d.Type, d.Action), milliseconds(d.DurationMS))
	case *events.ActionFailed:
		return fmt.Sprintf("%s after %s: %s: %s", action(d.Type, d.Action), milliseconds(d.DurationMS), d.Reason, d.Detail)
	case *events.ActionRefused:
		return fmt.Sprintf("%s: %s: %s", action(d.Type, d.Action), d.Reason, d.Detail)
	}
	return ""
}

func action(t fleet.ActionType, id fleet.ActionID) string { return fmt.Sprintf("%s %s", t, id) }

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func note(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", s)
}

// short cuts a digest or serial to what a person compares.
func short(s string) string {
	const shown = 12
	prefix := ""
	if len(s) > 7 && s[:7] == "sha256:" {
		prefix, s = s[:7], s[7:]
	}
	if len(s) > shown {
		s = s[:shown]
	}
	return prefix + s
}
