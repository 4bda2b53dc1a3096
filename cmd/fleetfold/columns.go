package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/internal/listing"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func nodeColumns(now func() time.Time) []listing.Column[status.Node] {
	return []listing.Column[status.Node]{
		{Name: "NODE", Text: func(n status.Node) string { return string(n.ID) }},
		{Name: "REGION", Text: func(n status.Node) string { return n.Region }},
		{Name: "DESIRED", Text: func(n status.Node) string { return yes(n.Desired) }},
		{Name: "PRESENT", Text: func(n status.Node) string { return yes(n.Present) }},
		{Name: "SIGNS", Text: func(n status.Node) string { return yes(n.CanSign) }},
		{Name: "EXPIRES", Text: func(n status.Node) string { return expires(n.NotAfter, now()) }},
		{Name: "IN FLIGHT", Text: func(n status.Node) string { return string(n.InFlight) }},
		{Name: "FAILED", Text: failed},
		{Name: "EPOCH", Wide: true, Text: func(n status.Node) string { return strconv.FormatUint(n.Epoch, 10) }},
		{Name: "CREDENTIAL UNTIL (UTC)", Wide: true, Text: func(n status.Node) string { return until(n.NotAfter) }},
		{Name: "SERIAL", Wide: true, Text: func(n status.Node) string { return logline.Digest(n.Serial) }},
		{Name: "LAST ERROR", Wide: true, Text: func(n status.Node) string { return cut(n.LastError) }},
	}
}

var actionColumns = []listing.Column[status.Action]{
	{Name: "ACTION", Text: func(a status.Action) string { return string(a.Type) }},
	{Name: "NODE", Text: func(a status.Action) string { return string(a.ID) }},
	{Name: "REGION", Wide: true, Text: func(a status.Action) string { return a.Region }},
	{Name: "STATE", Text: func(a status.Action) string { return string(a.State) }},
	{Name: "ATTEMPT", Text: func(a status.Action) string { return count(a.Attempt) }},
	{Name: "SINCE", Text: func(a status.Action) string { return moment(a.Since) }},
	{Name: "FAILED", Wide: true, Text: func(a status.Action) string { return count(a.Failures) }},
	{Name: "PLAN", Wide: true, Text: func(a status.Action) string { return string(a.Plan) }},
	{Name: "ID", Wide: true, Text: func(a status.Action) string { return string(a.Action) }},
	{Name: "WHY NOT NOW", Text: func(a status.Action) string { return whyNot(a.Reason, a.Detail) }},
}

var holdColumns = []listing.Column[status.Hold]{
	{Name: "ACTION", Text: func(h status.Hold) string { return string(h.Type) }},
	{Name: "NODE", Text: func(h status.Hold) string { return string(h.ID) }},
	{Name: "REGION", Text: func(h status.Hold) string { return h.Region }},
	{Name: "REASON", Text: func(h status.Hold) string { return string(h.Reason) }},
	{Name: "APPROVAL", Wide: true, Text: func(h status.Hold) string { return string(h.Approval) }},
	{Name: "DETAIL", Text: func(h status.Hold) string { return h.Detail }},
}

var planColumns = []listing.Column[status.Plan]{
	{Name: "PLAN", Text: func(p status.Plan) string { return string(p.Plan) }},
	{Name: "SEQ", Text: func(p status.Plan) string { return strconv.FormatUint(p.Sequence, 10) }},
	{Name: "TIME", Text: func(p status.Plan) string { return moment(&p.Time) }},
	{Name: "GEN", Text: func(p status.Plan) string { return strconv.FormatUint(p.Generation, 10) }},
	{Name: "BASIS", Wide: true, Text: func(p status.Plan) string { return strconv.FormatUint(p.Basis, 10) }},
	{Name: "RULE", Wide: true, Text: func(p status.Plan) string { return p.RuleVersion }},
	{Name: "INVENTORY", Wide: true, Text: func(p status.Plan) string { return logline.Digest(p.Digest) }},
	{Name: "SHARD", Wide: true, Text: func(p status.Plan) string { return p.Shard }},
	{Name: "OPEN", Text: func(p status.Plan) string { return strconv.Itoa(p.Open) }},
	{Name: "HELD", Text: func(p status.Plan) string { return strconv.Itoa(p.Held) }},
	{Name: "ACTIONS", Text: func(p status.Plan) string { return countsOf(p.Counts) }},
}

// countsOf is such as "3 EnrollNode, 1 IssueCredential".
func countsOf(byType map[fleet.ActionType]int) string {
	var parts []string
	for _, t := range fleet.ActionTypes {
		if n := byType[t]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, t))
		}
	}
	return strings.Join(parts, ", ")
}

func whyNot(reason fleet.Reason, detail string) string {
	if reason == "" {
		return ""
	}
	return string(reason) + ": " + detail
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return clock(*t)
}

func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}

// expires is how long a credential lasts, in the two largest units.
func expires(end *time.Time, now time.Time) string {
	if end == nil {
		return ""
	}
	left := end.Sub(now)
	switch {
	case left <= 0:
		return "ended"
	case left < time.Minute:
		return fmt.Sprintf("%ds", int(left.Seconds()))
	case left < time.Hour:
		return fmt.Sprintf("%dm", int(left.Minutes()))
	case left < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(left.Hours()), int(left.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(left.Hours()/24))
}

// failed counts the failures in a row; stuck stands where the fleet waits for
// what keeps failing.
func failed(n status.Node) string {
	switch {
	case n.Stuck:
		return fmt.Sprintf("%d, stuck", n.Failures)
	case n.Failures > 0:
		return strconv.Itoa(n.Failures)
	}
	return ""
}

// cut keeps a table a table; the JSON form has all of it.
func cut(s string) string {
	const shown = 40
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > shown {
		return string(r[:shown-1]) + "…"
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
