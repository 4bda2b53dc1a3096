package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// screen shows what a running fleet does: lines for a person, or each message
// of the log as a line of JSON. It is safe for use by several goroutines.
type screen struct {
	mu      sync.Mutex
	out     io.Writer
	err     io.Writer
	jsonl   bool
	colour  bool
	started time.Time
	desired int
	// count of nodes as the fold stood at the last record.
	present, signing map[fleet.NodeID]bool
	// done counts outcomes of this run.
	done map[events.Type]int
}

func newScreen(out, err io.Writer, jsonl bool) *screen {
	return &screen{
		out: out, err: err, jsonl: jsonl, colour: cli.Colour(out), started: time.Now(),
		present: map[fleet.NodeID]bool{}, signing: map[fleet.NodeID]bool{}, done: map[events.Type]int{},
	}
}

// begin says where the fleet runs. With jsonl it is said on standard error.
func (s *screen) begin(dir, url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.out
	if s.jsonl {
		w = s.err
	}
	fmt.Fprintf(w, "folder  %s\nserver  %s\n", dir, url)
}

func (s *screen) desire(inv *fleet.Inventory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.desired = inv.Len()
}

// problem is said on standard error, in either form.
func (s *screen) problem(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.err, text)
}

func (s *screen) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.jsonl {
		fmt.Fprintln(s.out, text)
	}
}

// agentExit tells of an agent that died. One that ended well was told to by a
// decommission, which the log shows.
func (s *screen) agentExit(id fleet.NodeID, pid int, err error) {
	if err != nil {
		s.problem(fmt.Sprintf("agent of %s (pid %d) died: %v", id, pid, err))
	}
}

// record shows one record. History from before this run is only counted.
func (s *screen) record(r eventlog.Record, _ projection.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(r.Event)
	if r.Time.Before(s.started) {
		return
	}
	if s.jsonl {
		line, err := logline.JSON(r)
		if err != nil {
			fmt.Fprintln(s.err, err)
			return
		}
		fmt.Fprintf(s.out, "%s\n", line)
		return
	}
	if text := s.line(r.Event); text != "" {
		fmt.Fprintln(s.out, text)
	}
}

func (s *screen) count(e *events.Event) {
	if e == nil {
		return
	}
	switch e.Type {
	case events.TypeNodeAppeared:
		s.present[e.Node] = true
	case events.TypeNodeLost, events.TypeNodeLeft:
		delete(s.present, e.Node)
	case events.TypeNodeRemoved:
		delete(s.present, e.Node)
		delete(s.signing, e.Node)
	case events.TypeCredentialProved:
		s.signing[e.Node] = true
	case events.TypeCredentialExpired, events.TypeCredentialRevoked:
		delete(s.signing, e.Node)
	}
}

// line is what a person is told of an event; "" for what only machines need.
func (s *screen) line(e *events.Event) string {
	if e == nil {
		return ""
	}
	switch e.Type {
	case events.TypeInventoryApplied, events.TypeEnforcementEnabled, events.TypeEnforcementDisabled,
		events.TypeNodeLost, events.TypeNodeLeft, events.TypeCredentialExpired, events.TypeCredentialRevoked,
		events.TypePlanApproved, events.TypeControlPaused, events.TypeControlResumed:
		return s.stamp("·", fmt.Sprintf("%-24s %s", e.Type, strings.TrimSpace(string(e.Node)+"  "+logline.Describe(e))))
	case events.TypePlanDecided:
		d := e.Data.(*events.PlanDecided)
		return s.stamp("»", fmt.Sprintf("%-24s %s", e.Type, counts(d)))
	case events.TypeNodeAppeared, events.TypeCredentialProved:
		return s.stamp("·", fmt.Sprintf("%-24s %-24s %d of %d present, %d signing",
			e.Type, e.Node, len(s.present), s.desired, len(s.signing)))
	}
	if e.Type.IsOutcome() {
		s.done[e.Type]++
		return s.outcome(e)
	}
	return ""
}

func (s *screen) outcome(e *events.Event) string {
	switch d := e.Data.(type) {
	case *events.ActionSucceeded:
		return s.stamp("✓", fmt.Sprintf("%-24s %-24s %s", d.Type, d.ID, took(d.DurationMS)))
	case *events.ActionFailed:
		return s.stamp("✗", fmt.Sprintf("%-24s %-24s %s: %s", d.Type, d.ID, d.Reason, d.Detail))
	case *events.ActionRefused:
		return s.stamp("–", fmt.Sprintf("%-24s %-24s %s: %s", d.Type, d.ID, d.Reason, d.Detail))
	}
	return ""
}

func took(ms int64) string {
	if ms == 0 {
		return "under 1ms"
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

// stamp puts the time since the start and a symbol before the text.
func (s *screen) stamp(symbol, text string) string {
	colours := map[string]string{"✓": "32", "✗": "31", "–": "33", "»": "36"}
	if c := colours[symbol]; s.colour && c != "" {
		symbol = "\x1b[" + c + "m" + symbol + "\x1b[0m"
	}
	return fmt.Sprintf("%7.2fs %s %s", time.Since(s.started).Seconds(), symbol, strings.TrimRight(text, " "))
}

func counts(d *events.PlanDecided) string {
	byType := map[fleet.ActionType]int{}
	for _, a := range d.Actions {
		byType[a.Type]++
	}
	var parts []string
	for _, t := range fleet.ActionTypes {
		if n := byType[t]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, t))
		}
	}
	return strings.Join(parts, ", ")
}

// summary says at the end what is and what was done.
func (s *screen) summary(st status.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jsonl {
		return
	}
	present, signing := 0, 0
	for _, n := range st.Observed.Nodes {
		if n.Present {
			present++
		}
		if n.CanSign {
			signing++
		}
	}
	posture := "permissive"
	if st.Observed.StrictEnforced {
		posture = "strict"
	}
	fmt.Fprintf(s.out, "converged in %s: %d of %d nodes present, %d signing, enforcement %s\n",
		time.Since(s.started).Round(10*time.Millisecond), present, s.desired, signing, posture)
	fmt.Fprintf(s.out, "actions of this run: %d succeeded, %d failed, %d refused; log at sequence %d\n",
		s.done[events.TypeActionSucceeded], s.done[events.TypeActionFailed], s.done[events.TypeActionRefused], st.Sequence)
}

// missing says what keeps a fleet from being converged, in one line.
func missing(s status.Status) string {
	const shown = 5
	if s.Inventory.Digest == "" {
		return "no inventory is in force"
	}
	var parts []string
	for i, a := range s.Plan.Actions {
		if i == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(s.Plan.Actions)-shown))
			break
		}
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s", a.Type, a.ID)))
	}
	text := "to do: " + strings.Join(parts, ", ")
	if len(parts) == 0 {
		text = "nothing more to do"
	}
	return fmt.Sprintf("%s; %d in flight", text, len(s.InFlight))
}
