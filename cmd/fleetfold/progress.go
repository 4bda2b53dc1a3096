package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// screen shows what a running fleet does: lines for a person, or each message
// of the log as a line of JSON. It is safe for use by several goroutines, and
// none of its methods but close waits for whoever reads the output.
type screen struct {
	out     *spool
	err     *spool
	jsonl   bool
	colour  bool
	started time.Time

	// The goroutine of out alone uses what follows.
	desired int
	// node is the width of the column of nodes.
	node int
	// count of nodes as the fold stood at the last record.
	present, signing map[fleet.NodeID]bool
	// done counts outcomes of this run.
	done map[events.Type]int
}

func newScreen(out, err io.Writer, jsonl bool) *screen {
	return &screen{
		out: newSpool(out), err: newSpool(err), jsonl: jsonl, colour: cli.Colour(out), started: time.Now(),
		present: map[fleet.NodeID]bool{}, signing: map[fleet.NodeID]bool{}, done: map[events.Type]int{},
	}
}

// close waits until everything is written, and returns the first error of
// writing to standard output.
func (s *screen) close() error {
	_ = s.err.Close() // there is no place left to say it
	return s.out.Close()
}

// broken is closed when standard output takes no more.
func (s *screen) broken() <-chan struct{} { return s.out.Broken() }

// begin says where the fleet runs. With jsonl it is said on standard error.
func (s *screen) begin(dir, url, identity string) {
	to := s.out
	if s.jsonl {
		to = s.err
	}
	text := fmt.Sprintf("folder  %s\nserver  %s", dir, url)
	if identity != "" {
		text += "\nidentity " + identity
	}
	say(to, text)
}

func say(to *spool, text string) {
	to.put(func(w io.Writer) error {
		_, err := fmt.Fprintln(w, text)
		return err
	})
}

func (s *screen) desire(inv *fleet.Inventory) {
	s.out.put(func(io.Writer) error {
		s.desired = inv.Len()
		for n := range inv.Nodes() {
			s.node = max(s.node, len(n.ID))
		}
		return nil
	})
}

// problem is said on standard error, in either form.
func (s *screen) problem(text string) { say(s.err, text) }

func (s *screen) note(text string) {
	if !s.jsonl {
		say(s.out, text)
	}
}

// agentExit tells of an agent that died. One that ended well was told to by a
// decommission, which the log shows.
func (s *screen) agentExit(id fleet.NodeID, pid int, err error) {
	if err != nil {
		at := time.Since(s.started)
		s.problem(s.stamp(at, "·", fmt.Sprintf("agent of %s (pid %d) died: %v", id, pid, err)))
	}
}

// resume counts what a snapshot holds: the records before it are not seen.
func (s *screen) resume(st *projection.State) {
	present, signing := map[fleet.NodeID]bool{}, map[fleet.NodeID]bool{}
	for _, n := range st.Observed().Nodes {
		if n.Present {
			present[n.ID] = true
		}
		if n.CanSign {
			signing[n.ID] = true
		}
	}
	s.out.put(func(io.Writer) error {
		s.present, s.signing = present, signing
		return nil
	})
}

// record shows one record. History from before this run is only counted. It is
// called in the middle of a fold, and so does no more than queue.
func (s *screen) record(r eventlog.Record, _ projection.Change) {
	if r.Time.Before(s.started) {
		s.out.put(func(io.Writer) error {
			s.count(r.Event)
			return nil
		})
		return
	}
	s.show(r, time.Since(s.started))
}

// show shows one record as what happened at that time since the start.
func (s *screen) show(r eventlog.Record, at time.Duration) {
	s.out.put(func(w io.Writer) error {
		s.count(r.Event)
		text := s.line(at, r.Event)
		if s.jsonl {
			line, err := logline.JSON(r)
			if err != nil {
				s.problem(err.Error())
				return nil
			}
			text = string(line)
		}
		if text == "" {
			return nil
		}
		_, err := fmt.Fprintln(w, text)
		return err
	})
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
func (s *screen) line(at time.Duration, e *events.Event) string {
	if e == nil {
		return ""
	}
	switch e.Type {
	case events.TypeInventoryApplied, events.TypeEnforcementEnabled, events.TypeEnforcementDisabled,
		events.TypeNodeLost, events.TypeNodeLeft, events.TypeCredentialExpired, events.TypeCredentialRevoked,
		events.TypePlanApproved, events.TypeControlPaused, events.TypeControlResumed, events.TypeMessageRefused,
		events.TypeRetryRequested, events.TypePartitionApplied:
		return s.stamp(at, "·", s.row(string(e.Type), e.Node, logline.Describe(e)))
	case events.TypePlanDecided:
		d := e.Data.(*events.PlanDecided)
		return s.stamp(at, "»", s.row(string(e.Type), "", counts(d)))
	case events.TypeNodeAppeared, events.TypeCredentialProved:
		return s.stamp(at, "·", s.row(string(e.Type), e.Node,
			fmt.Sprintf("%d/%d present, %d signing", len(s.present), s.desired, len(s.signing))))
	}
	if e.Type.IsOutcome() {
		s.done[e.Type]++
		return s.outcome(at, e)
	}
	return ""
}

func (s *screen) outcome(at time.Duration, e *events.Event) string {
	switch d := e.Data.(type) {
	case *events.ActionSucceeded:
		return s.stamp(at, "✓", s.row(string(d.Type), d.ID, logline.Took(d.DurationMS)))
	case *events.ActionFailed:
		return s.stamp(at, "✗", s.row(string(d.Type), d.ID, fmt.Sprintf("%s: %s", d.Reason, d.Detail)))
	case *events.ActionRefused:
		return s.stamp(at, "–", s.row(string(d.Type), d.ID, fmt.Sprintf("%s: %s", d.Reason, d.Detail)))
	}
	return ""
}

// row is what happened, to which node, and more. What concerns no node takes the
// place of the node, too.
func (s *screen) row(what string, node fleet.NodeID, more string) string {
	if node == "" {
		return fmt.Sprintf("%-24s %s", what, more)
	}
	s.node = max(s.node, len(node)) // one that is on its way out, say
	return fmt.Sprintf("%-24s %s  %s", what, logline.Fit(node, s.node), more)
}

// stamp puts a time since the start and a symbol before the text.
func (s *screen) stamp(at time.Duration, symbol, text string) string {
	colours := map[string]string{"✓": "32", "✗": "31", "–": "33", "»": "36"}
	if c := colours[symbol]; s.colour && c != "" {
		symbol = "\x1b[" + c + "m" + symbol + "\x1b[0m"
	}
	return fmt.Sprintf("%7.2fs %s %s", at.Seconds(), symbol, strings.TrimRight(text, " "))
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
	if s.jsonl {
		return
	}
	took := time.Since(s.started).Round(10 * time.Millisecond)
	present, signing := st.Observed.Counts()
	s.out.put(func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "converged in %s: %d of %d nodes present, %d signing, enforcement %s\n"+
			"actions of this run: %d succeeded, %d failed, %d refused; log at sequence %d\n",
			took, present, s.desired, signing, render.Posture(st.Observed.StrictEnforced),
			s.done[events.TypeActionSucceeded], s.done[events.TypeActionFailed], s.done[events.TypeActionRefused], st.Sequence)
		return err
	})
}

// quieter leaves the ends of actions out of a log of warnings: the screen shows
// them. Whoever asks for more of the log gets all of it.
func quieter(log zerolog.Logger) zerolog.Logger {
	if log.GetLevel() < zerolog.WarnLevel {
		return log
	}
	return log.Hook(zerolog.HookFunc(func(e *zerolog.Event, level zerolog.Level, message string) {
		if level == zerolog.WarnLevel && message == "action settled" {
			e.Discard()
		}
	}))
}
