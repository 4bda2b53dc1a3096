package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// What status lists at most, so that the page of a large fleet stays a page; the
// JSON form has everything.
const (
	shownFlights = 10
	shownActions = 10
)

func statusText(w io.Writer, s status.Status) error {
	b := bufio.NewWriter(w) // it keeps the first error of writing
	statusHead(b, s)
	shardsText(b, s.Shards)
	for _, kind := range eventlog.ServiceKinds {
		if s.Services == nil {
			break // of the past, nobody can be asked
		}
		servicesText(b, kind, s.Services, render.Colour(w))
	}
	if s.Unfit > 0 {
		what := "messages of the log are no events, and count"
		if s.Unfit == 1 {
			what = "message of the log is no event, and counts"
		}
		fmt.Fprintf(b, "unfit        %d %s for nothing\n", s.Unfit, what)
	}
	if n := len(s.Stuck); n > 0 {
		fmt.Fprintf(b, "stuck        %s, see below\n", render.Count(n, "action"))
	}
	flightsText(b, s.InFlight)
	for _, p := range s.Paused {
		fmt.Fprintf(b, "paused       %s by %s since %s%s\n", p.Target, p.Actor, p.Since.Local().Format(time.DateTime), because(p.Note))
	}
	for _, r := range s.Rotations {
		fmt.Fprintf(b, "rotating     %s by %s since %s, %s to go%s\n", r.Target, r.Actor, r.Since.Local().Format(time.DateTime),
			render.Count(r.Remaining, "node"), because(r.Note))
	}
	if s.Inventory.Digest != "" {
		fmt.Fprintln(b)
		o := render.Options{Colour: render.Colour(w), MaxActions: shownActions}
		held, waiting := heldText(s)
		if err := errors.Join(render.Plan(b, s.Plan, s.BlockedBy, o), render.Held(b, held, o),
			render.Waiting(b, waiting, o), render.Stuck(b, s.Stuck, o)); err != nil {
			return err
		}
	}
	return b.Flush()
}

func statusHead(w io.Writer, s status.Status) {
	present, signing := s.Observed.Counts()
	headText(w, head{
		converged: s.Converged, sequence: s.Sequence, digest: s.Inventory.Digest, generation: s.Inventory.Generation,
		observed: len(s.Observed.Nodes), present: present, signing: signing, strict: s.Observed.StrictEnforced,
	})
}

// shardsText says who decides on a fleet that is divided.
func shardsText(w io.Writer, shards []status.Shard) {
	var parts []string
	for _, s := range shards {
		text := s.Name
		if s.Rest {
			text += " (the rest)"
		}
		parts = append(parts, fmt.Sprintf("%s %d in flight", text, s.InFlight))
	}
	if len(parts) > 0 {
		fmt.Fprintf(w, "shards       %s\n", strings.Join(parts, ", "))
	}
}

// withoutService is what does not happen while nobody of a kind runs.
var withoutService = map[eventlog.ServiceKind]string{
	eventlog.PlannerService:  "nobody decides what is to be done",
	eventlog.ExecutorService: "nobody carries actions out",
}

func servicesText(w io.Writer, kind eventlog.ServiceKind, services []status.Service, colour bool) {
	width, found := 0, []status.Service{}
	for _, s := range services {
		if s.Kind == kind {
			found = append(found, s)
			width = max(width, len(processOf(s)))
		}
	}
	if len(found) == 0 {
		none := "none answered"
		if colour {
			none = render.Paint(render.Red, none)
		}
		fmt.Fprintf(w, "%-12s %s: %s\n", kind, none, withoutService[kind])
	}
	for _, s := range found {
		fmt.Fprintf(w, "%-12s %-*s  since %s, %s, %s\n", kind, width, processOf(s), clock(s.Since), reachOf(s), workOf(s))
	}
}

func processOf(s status.Service) string { return fmt.Sprintf("%s pid %d", s.Host, s.PID) }

// reachOf says how far a service has read.
func reachOf(s status.Service) string {
	switch {
	case !s.CaughtUp:
		return fmt.Sprintf("still reading the log, at %d", s.Sequence)
	case s.Lag > 0:
		return fmt.Sprintf("at sequence %d, %d behind", s.Sequence, s.Lag)
	}
	return fmt.Sprintf("at sequence %d", s.Sequence)
}

func workOf(s status.Service) string {
	if s.Kind == eventlog.PlannerService {
		return render.Count(int(s.Plans), "plan") + " published"
	}
	return render.Count(s.Running, "action") + " running"
}

// clock is a moment of today by its time, another one with its date.
func clock(t time.Time) string {
	t = t.Local()
	if time.Since(t) < 12*time.Hour {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

func flightsText(w io.Writer, flights []status.Flight) {
	fmt.Fprintf(w, "in flight    %d\n", len(flights))
	for _, f := range flights[:min(shownFlights, len(flights))] {
		fmt.Fprintf(w, "             %s (attempt %d, since %s)\n", withID(f.Type, f.ID), f.Attempt, clock(f.Since))
	}
	if more := len(flights) - shownFlights; more > 0 {
		fmt.Fprintf(w, "             and %d more\n", more)
	}
}

func withID(t fleet.ActionType, id fleet.NodeID) string {
	return strings.TrimSpace(string(t) + " " + string(id))
}

// heldText divides what is held into what a safeguard holds and what waits for
// time or room; what is stuck says itself when it is tried again.
func heldText(s status.Status) (held, waiting []fleet.Held) {
	stuck := make(map[fleet.Action]bool, len(s.Stuck))
	for _, x := range s.Stuck {
		stuck[x.Action] = true
	}
	for _, h := range s.Held {
		switch {
		case h.Reason == engine.ReasonMaxInFlight:
			waiting = append(waiting, h)
		case h.Reason != engine.ReasonBackingOff:
			held = append(held, h)
		case !stuck[h.Action]:
			waiting = append(waiting, h)
		}
	}
	return held, waiting
}

func because(note string) string {
	if note == "" {
		return ""
	}
	return ": " + note
}
