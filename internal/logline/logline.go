// Package logline writes records of the log for people and for machines.
package logline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/fleetfold/fleetfold/internal/render"
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

// MaxNode is the widest that a column of nodes gets; longer ids are cut.
const MaxNode = 40

// Fit brings a node id to width columns, at most MaxNode; a longer one is cut.
func Fit(id fleet.NodeID, width int) string {
	width = max(1, min(width, MaxNode))
	if len(id) > width {
		return string(id[:width-1]) + "…"
	}
	return fmt.Sprintf("%-*s", width, id)
}

// Columns writes lines below each other. The zero value is ready for use.
type Columns struct{ node int }

// See makes room for the nodes of the records that are written next.
func (c *Columns) See(records []eventlog.Record) {
	for _, r := range records {
		if r.Event != nil {
			c.node = max(c.node, min(len(r.Event.Node), MaxNode))
		}
	}
}

// Text returns the record as one line for a person, without the line end:
// local time, sequence, type, node and what it says. What concerns no node
// takes the place of the node, too.
func (c *Columns) Text(r eventlog.Record) string {
	c.See([]eventlog.Record{r})
	head := fmt.Sprintf("%s %6d  ", r.Time.Local().Format("15:04:05.000"), r.Sequence)
	if r.Event == nil {
		return plain(head + fmt.Sprintf("%-26s %s: %v", "(unfit)", r.Message.Subject, r.Err))
	}
	text := head + fmt.Sprintf("%-26s ", r.Event.Type)
	if r.Event.Node != "" {
		text += Fit(r.Event.Node, c.node) + "  "
	}
	return plain(strings.TrimRight(text+Describe(r.Event), " "))
}

// plain keeps what others wrote from moving the cursor or colouring the screen
// of whoever reads it.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Plain is what others wrote, without what moves the cursor or colours the screen.
func Plain(text string) string { return plain(text) }

// Text is Columns.Text for a record that stands alone.
func Text(r eventlog.Record) string { return new(Columns).Text(r) }

// Describe says in a few words what an event says beyond its type and node.
func Describe(e *events.Event) string {
	switch d := e.Data.(type) {
	case *events.InventoryApplied:
		return fmt.Sprintf("generation %d by %s, %s", d.Generation, d.Actor, Digest(d.Digest)) + note(d.Note)
	case *events.TrustPublished:
		return d.TrustDomain + ", root " + Digest(d.Fingerprint)
	case *events.TrustDelegated:
		return fmt.Sprintf("%s, region %s, intermediate %s", d.TrustDomain, d.Region, Digest(d.Fingerprint))
	case *events.TrustRotationRequested:
		return fmt.Sprintf("%s%s by %s", d.Step, region(d.Region), d.Actor) + note(d.Note)
	case *events.TrustRotationHeld:
		return fmt.Sprintf("%s%s waits: %s: %s", d.Step, region(d.Region), d.Reason, cmp.Or(nodes(d.Nodes, d.NodesTotal), d.Detail))
	case *events.TrustActivated:
		return Digest(d.Fingerprint) + region(d.Region) + " issues"
	case *events.TrustRetired:
		return Digest(d.Fingerprint) + region(d.Region) + " is retired"
	case *events.NodeBundleReported:
		return "bundle " + Digest(d.Digest)
	case *events.NodeLost:
		return string(d.Reason)
	case *events.CredentialIssued:
		text := fmt.Sprintf("serial %s until %s", short(d.Serial), d.NotAfter.UTC().Format(time.RFC3339))
		if d.Renews != "" {
			text += ", renews " + short(d.Renews)
		}
		return text
	case *events.RotationRequested:
		return fmt.Sprintf("%s by %s, %g a second", d.Target, d.Actor, d.RatePerSecond) + note(d.Note)
	case *events.RetryRequested:
		return fmt.Sprintf("%s by %s, attempt %d", short(string(d.Action)), d.Actor, d.Attempt) + note(d.Note)
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
	case *events.MessageRefused:
		return refused(d)
	case *events.CheckpointSigned:
		return checkpoint(d)
	case *events.PlanDecided:
		return fmt.Sprintf("%s: %s, %d held, on sequence %d", short(string(d.Plan)), render.Count(len(d.Actions), "action"), d.HeldTotal, d.Basis) + shard(d.Shard)
	case *events.PartitionApplied:
		return fmt.Sprintf("%s by %s", Partition(d.Partition), d.Actor) + note(d.Note)
	case *events.ActionRequested:
		return fmt.Sprintf("%s, attempt %d", short(string(d.Action)), d.Attempt)
	default:
		return describeOutcome(e)
	}
}

func region(name string) string {
	if name == "" {
		return ""
	}
	return " in region " + name
}

func shard(name string) string {
	if name == "" {
		return ""
	}
	return ", shard " + name
}

// Partition says on one line who has which regions.
func Partition(p fleet.Partition) string {
	if p.None() {
		return "the fleet is one"
	}
	var parts []string
	for _, s := range p.Shards {
		have := s.Regions
		if s.Name == p.Rest {
			have = append(slices.Clone(have), "the rest")
		}
		parts = append(parts, s.Name+" has "+strings.Join(have, ", "))
	}
	return strings.Join(parts, "; ")
}

// nodes names as many as the event lists.
func nodes(ids []fleet.NodeID, total int) string {
	if len(ids) == 0 {
		return ""
	}
	var names []string
	for _, id := range ids {
		names = append(names, string(id))
	}
	text := strings.Join(names, ", ")
	if total > len(ids) {
		text += fmt.Sprintf(" and %d more", total-len(ids))
	}
	return text
}

func describeOutcome(e *events.Event) string {
	switch d := e.Data.(type) {
	case *events.ActionSucceeded:
		return fmt.Sprintf("%s in %s", action(d.Type, d.Action), Took(d.DurationMS))
	case *events.ActionFailed:
		return fmt.Sprintf("%s after %s: %s: %s", action(d.Type, d.Action), Took(d.DurationMS), d.Reason, d.Detail)
	case *events.ActionRefused:
		return fmt.Sprintf("%s: %s: %s", action(d.Type, d.Action), d.Reason, d.Detail)
	}
	return ""
}

func refused(d *events.MessageRefused) string {
	times := ""
	if d.Count > 1 {
		times = fmt.Sprintf(", %d times", d.Count)
	}
	return fmt.Sprintf("%s: %s%s: %s", d.Channel, d.Reason, times, d.Detail)
}

// checkpoint names the origin and the root that the note claims; nobody has
// verified it here.
func checkpoint(d *events.CheckpointSigned) string {
	lines := strings.SplitN(d.Note, "\n", 4)
	if len(lines) < 4 {
		return fmt.Sprintf("size %d, not a note", d.Size)
	}
	return fmt.Sprintf("%s, size %d, root %s", lines[0], d.Size, short(lines[2]))
}

func action(t fleet.ActionType, id fleet.ActionID) string {
	return fmt.Sprintf("%s %s", t, short(string(id)))
}

// Took is a duration for a person, who would take "0s" for a mistake.
func Took(ms int64) string {
	if ms == 0 {
		return "under 1ms"
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

func note(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", s)
}

// Digest cuts a digest to what a person compares.
func Digest(s string) string {
	const shown = 12
	s = strings.TrimPrefix(s, "sha256:")
	return s[:min(shown, len(s))]
}

// short cuts a serial, or what an id has after its kind: "plan-22c959bb".
func short(s string) string {
	const shown = 8
	from := strings.LastIndex(s, "-") + 1
	return s[:min(from+shown, len(s))]
}
