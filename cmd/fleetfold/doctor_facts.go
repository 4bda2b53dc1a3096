package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/internal/doctor"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// facts asks for everything. What cannot be had is an error in its place, so
// that one thing that is broken never hides the others.
func (f *doctorFlags) facts(ctx context.Context) doctor.Facts {
	facts := doctor.Facts{Overdue: f.overdue, Servers: eventlog.AskMonitors(ctx, f.monitor.URLs)}
	bus, err := f.connect(ctx)
	if err != nil {
		facts.Connection.Err, facts.Connection.Hint = err, cli.HintOf(err)
		return facts
	}
	defer bus.Close()
	facts.Connection.URL, facts.Connection.Version = bus.URL(), bus.ServerVersion()
	facts.Connection.RTT, facts.Connection.Err = bus.RTT()
	facts.Streams = bus.CheckStreams(ctx)
	if all, err := bus.AskServers(ctx); err == nil {
		facts.Servers.Heard = append(facts.Servers.Heard, all...)
	}
	facts.Limits.Account, facts.Limits.Err = bus.AccountLimits(ctx)
	// Whoever may not ask about the log may read it all the same.
	if err := missing(facts.Streams, eventlog.RoleLog); err == nil || errors.Is(err, eventlog.ErrNotAllowed) {
		f.logFacts(ctx, bus, &facts)
	}
	return facts
}

// logFacts are those that only a log can tell. The leases come after the fold:
// a node that joins meanwhile then has one for sure.
func (f *doctorFlags) logFacts(ctx context.Context, bus *eventlog.Bus, facts *doctor.Facts) {
	facts.Clock.Skew, facts.Clock.Within, facts.Clock.Err = bus.ClockSkew(ctx, f.now)
	facts.Actions.ActionsHealth, facts.Actions.Err = bus.CheckActions(ctx)
	facts.Fold = foldFacts(ctx, bus.Log())
	facts.Snapshots.Verdicts, facts.Snapshots.Err = snapshot.Verify(ctx, bus.Log(), bus)
	facts.Leases = leaseFacts(ctx, bus, facts.Streams)
	facts.Now = f.now().Add(facts.Clock.Skew)
}

func (f *doctorFlags) connect(ctx context.Context) (*eventlog.Bus, error) {
	options, err := f.nats.Options("fleetfold doctor")
	if err != nil {
		return nil, err
	}
	return eventlog.Connect(ctx, options)
}

// missing says why a stream cannot be read; nil if it can.
func missing(streams []eventlog.StreamHealth, role eventlog.Role) error {
	for _, s := range streams {
		switch {
		case s.Role != role:
		case s.Err != nil:
			return fmt.Errorf("look up stream %s: %w", s.Name, s.Err)
		case s.Missing:
			return fmt.Errorf("there is no stream %s", s.Name)
		}
	}
	return nil
}

// newestUnfit is how many messages that do not fit are named.
const newestUnfit = 3

// foldFacts folds the whole log once.
func foldFacts(ctx context.Context, log eventlog.Log) (f doctor.Fold) {
	v := snapshots.Whole(log)
	v.OnRecord(func(r eventlog.Record, _ projection.Change) { remember(&f, r) })
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- v.Run(ctx) }()
	f.Err = v.CatchUp(ctx)
	took := time.Since(began)
	if f.Err == nil {
		f.Last, f.Err = log.Last(ctx)
	}
	cancel()
	<-done // from here on f is ours alone
	v.Read(func(st *projection.State) {
		f.Sequence, f.Took, f.Unfit, f.Flights = st.Sequence(), took, st.Unfit(), st.Ledger().Flights()
		for _, n := range st.Observed().Nodes {
			if n.Present {
				f.Present = append(f.Present, n.ID)
			}
		}
	})
	return f
}

func remember(f *doctor.Fold, r eventlog.Record) {
	if r.Event == nil {
		f.Newest = slices.Insert(f.Newest, 0, doctor.Unfit{Sequence: r.Sequence, Subject: r.Message.Subject, Err: r.Err})
		f.Newest = f.Newest[:min(len(f.Newest), newestUnfit)]
		return
	}
	if d, ok := r.Event.Data.(*events.PlanDecided); ok {
		f.Plan = &doctor.Plan{ID: d.Plan, Sequence: r.Sequence, Time: r.Time, Actions: len(d.Actions)}
	}
}

// leaseFacts reads the newest word of each node.
func leaseFacts(ctx context.Context, bus *eventlog.Bus, streams []eventlog.StreamHealth) doctor.Leases {
	l := doctor.Leases{Running: make(map[fleet.NodeID]time.Duration), Ended: make(map[fleet.NodeID]time.Time)}
	for _, role := range []eventlog.Role{eventlog.RoleIngest, eventlog.RolePresence} {
		if l.Err = missing(streams, role); l.Err != nil {
			return l
		}
	}
	for _, s := range streams {
		if s.Role == eventlog.RolePresence {
			l.Since = s.Created
		}
	}
	seen, err := bus.CurrentSightings(ctx)
	l.Err = err
	for _, s := range seen {
		note(&l, s)
	}
	return l
}

func note(l *doctor.Leases, s eventlog.Sighting) {
	switch {
	case s.Err != nil: // the planner counts what it refuses
	case s.Heartbeat != nil && !s.Heartbeat.Leaving:
		l.Running[s.Node] = time.Duration(s.Heartbeat.LeaseSeconds) * time.Second
		delete(l.Ended, s.Node)
	default:
		l.Ended[s.Node] = s.Time
		delete(l.Running, s.Node)
	}
}
