package planner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/refusals"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Config of a Planner. All fields but Policy, Safeguards, Now, Metrics and Logger are required.
type Config struct {
	Log         eventlog.Log
	View        *view.View
	Inventories *view.Inventories
	Sightings   Sightings
	Statements  Statements
	// Lease is how long after a start nobody is called lost, 1s to 1h. It must
	// be at least the longest lease that agents ask for.
	Lease time.Duration
	// Policy bounds what is published; zero means engine.DefaultPolicy.
	Policy engine.Policy
	// Safeguards say what must wait; zero means engine.DefaultSafeguards.
	Safeguards engine.Safeguards
	// Paces is where nodes are told how often to send heartbeats, so that all
	// together stay below HeartbeatRate a second, 1 to MaxHeartbeatRate; 0 means
	// DefaultHeartbeatRate. nil: they are told nothing.
	Paces         Paces
	HeartbeatRate int
	// Shard of the fleet that this planner decides on, while the partition in force
	// has one of that name; empty: all of a fleet that is not divided.
	Shard string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Metrics counts; nil means that nobody looks.
	Metrics *Metrics
	Logger  zerolog.Logger
}

// Validate reports every field that is missing or out of its range.
func (c *Config) Validate() error {
	var problems []error
	if c.Log == nil || c.View == nil || c.Inventories == nil || c.Sightings == nil || c.Statements == nil {
		problems = append(problems, errors.New("log, view, inventories, sightings and statements are required"))
	}
	if c.Lease < time.Second || c.Lease > time.Hour {
		problems = append(problems, fmt.Errorf("lease is %s, must be 1s to 1h", c.Lease))
	}
	if c.HeartbeatRate < 1 || c.HeartbeatRate > MaxHeartbeatRate {
		problems = append(problems, fmt.Errorf("heartbeat rate is %d a second, must be 1 to %d", c.HeartbeatRate, MaxHeartbeatRate))
	}
	if c.Shard != "" {
		problems = append(problems, fleet.CheckShardName(c.Shard)) // Join leaves out nil
	}
	for _, err := range []error{c.Policy.Validate(), c.Safeguards.Validate()} {
		if err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// Planner is one planner. Make it with New before its View runs.
type Planner struct {
	Config
	sensor *sensor
	// touched collects what the fold changed since the loop last looked.
	touched touched
	// awaiting is the last sequence appended by this planner: until the fold has
	// reached it, concluding again would conclude the same again.
	awaiting uint64
	// leasesRead says that all leases that ran at the start have been read.
	leasesRead bool
	// owed says that facts were appended and nothing was decided on them yet:
	// a stream of facts must not keep the planner from planning.
	owed bool
	// decided is when the last decision ended, and decidedIn how long the last took
	// of which nothing came.
	decided   time.Time
	decidedIn time.Duration
	// wake is when to look again even if nothing happens; zero: never.
	wake time.Time
	// withheld is the last account of held actions that was logged.
	withheld string
	// decider follows the fold, and indexed is the inventory it was last asked for.
	decider decide.Incremental
	indexed *decide.Desired
	// published counts plans; others read it.
	published atomic.Uint64
	// found is the fleet as the last decision found it; others read it.
	found atomic.Pointer[eventlog.FleetReport]
	// stuck are the needs that were logged as stuck.
	stuck map[fleet.Action]bool
	// cutShort is the sequence of the last plan that was reported as not whole.
	cutShort uint64
	// misfits are the messages of the log that do not fit and were not reported.
	misfits misfits
	sight   sight
	// challenges are the certificates that wait for proof.
	challenges challenges
	pacer      pacer
	// refusals puts on the log what the border refused.
	refusals *refusals.Recorder
	trouble  trouble
	settled  chan struct{}
}

// New returns a Planner that watches the view. The view must not run yet.
func New(c Config) (*Planner, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Policy == (engine.Policy{}) {
		c.Policy = engine.DefaultPolicy()
	}
	if c.Safeguards == (engine.Safeguards{}) {
		c.Safeguards = engine.DefaultSafeguards()
	}
	if c.HeartbeatRate == 0 {
		c.HeartbeatRate = DefaultHeartbeatRate
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("check planner configuration: %w", err)
	}
	p := &Planner{
		Config:  c,
		sensor:  newSensor(c.Lease),
		settled: make(chan struct{}),
		stuck:   make(map[fleet.Action]bool),
	}
	var err error
	p.refusals, err = refusals.New(refusals.Config{
		Log: c.Log, View: c.View, Source: events.SourcePlanner, Shared: true, Now: c.Now, Logger: c.Logger,
		Recorded: func(*events.MessageRefused) {
			c.Metrics.facts.WithLabelValues(string(events.TypeMessageRefused)).Inc()
		},
	})
	if err != nil {
		return nil, err
	}
	c.View.OnStart(p.onStart)
	c.View.OnRecord(p.onRecord)
	return p, nil
}

// Settled is closed once each node that the log called present at the start
// has been seen, or has been called lost.
func (p *Planner) Settled() <-chan struct{} { return p.settled }

// Published counts the plans that this planner has published. It may be called
// from any goroutine.
func (p *Planner) Published() uint64 { return p.published.Load() }

// Found is the fleet as the last decision found it; nil before the first. It may
// be called from any goroutine, and nobody may change what it returns.
func (p *Planner) Found() *eventlog.FleetReport { return p.found.Load() }

// onStart does for the records that a snapshot stands for what onRecord does for
// each: every observed node is news, and what was counted is counted.
func (p *Planner) onStart(st *projection.State) {
	p.touched.begin(st.Observed())
	p.Metrics.begin(st)
}

func (p *Planner) onRecord(r eventlog.Record, c projection.Change) {
	p.touched.add(c)
	p.misfits.add(r)
	p.challenges.add(r)
	p.refusals.OnRecord(r)
	p.Metrics.record(r)
}

// Run senses and decides until ctx ends. It returns nil then, and an error when
// going on would be wrong: a log with a gap.
func (p *Planner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	sightings := make(chan sighted, sightingsAhead)
	statements := make(chan []eventlog.Statement)
	failed := make(chan error, 2)
	var pumps sync.WaitGroup
	pumps.Go(func() { failed <- pumpSightings(ctx, p.Sightings, sightings) })
	pumps.Go(func() { failed <- pumpStatements(ctx, p.Statements, statements) })
	defer pumps.Wait()
	defer cancel()
	err := p.loop(ctx, sightings, statements, failed)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sightingsAhead is how much is read of the leases while the loop is at work, in
// batches of the reader.
const sightingsAhead = 64

func (p *Planner) loop(ctx context.Context, sightings <-chan sighted, statements <-chan []eventlog.Statement, failed <-chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := p.View.Changed() // taken before looking, so that no fold is missed
		if err := p.step(ctx); err != nil {
			return err
		}
		p.arm(timer)
		if more, err := p.await(ctx, changed, timer.C, sightings, statements, failed); !more || err != nil {
			return err
		}
	}
}

// await waits for news. Heartbeats that only renew leases are none: to conclude
// and decide after each of them would take a planner of a large fleet all its time.
func (p *Planner) await(
	ctx context.Context, changed <-chan struct{}, due <-chan time.Time,
	sightings <-chan sighted, statements <-chan []eventlog.Statement, failed <-chan error,
) (more bool, err error) {
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case err := <-failed:
			return false, err
		case <-changed:
			return true, nil
		case s := <-sightings:
			if p.senseAll(s, sightings) {
				return true, nil
			}
		case s := <-statements:
			return true, p.hear(ctx, s)
		case <-due:
			return true, nil
		}
	}
}

// arm sets the timer to the earliest moment at which time itself is news.
func (p *Planner) arm(timer *time.Timer) {
	next := p.wake
	for _, at := range []time.Time{p.sensor.nextDeadline(), p.refusals.Wake(), p.pacer.wake} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		timer.Stop()
		return
	}
	timer.Reset(max(next.Sub(p.Now()), time.Millisecond))
}

// step concludes what can be concluded now. A lost race or a bus that does not
// answer ends the step, not the planner.
func (p *Planner) step(ctx context.Context) error {
	if err := p.View.Err(); err != nil {
		return err
	}
	if !p.View.CaughtUp() {
		return nil
	}
	if err := p.keepPace(ctx); err != nil {
		return p.tolerate(ctx, err)
	}
	if err := p.watch(ctx); err != nil {
		return p.tolerate(ctx, err)
	}
	p.misfits.tell(p.Logger)
	p.refusals.Tell(ctx)
	behind := false
	p.View.Read(func(st *projection.State) { behind = st.Sequence() < p.awaiting })
	if behind {
		return nil
	}
	p.wake = time.Time{}
	return p.tolerate(ctx, p.progress(ctx))
}

// factsShare is how many times as long as the last decision took facts may be
// appended before the next one. Many facts at once, as when a region is cut off,
// are then on the log soon, and are decided on together: a decision on a large
// fleet takes a while.
const factsShare = 4

// owes says whether a decision on the facts so far is due.
func (p *Planner) owes() bool {
	return p.owed && p.Now().Sub(p.decided) >= factsShare*p.decidedIn
}

// progress makes at most one append: of a plan if one is owed, else of facts,
// else of a plan.
func (p *Planner) progress(ctx context.Context) error {
	if p.owes() {
		p.owed = false
		if published, err := p.decideNow(ctx); published || err != nil {
			return err
		}
	}
	appended, err := p.appendFacts(ctx)
	if appended || err != nil {
		p.owed = p.owed || appended
		return err
	}
	if p.owed && !p.owes() { // more facts may follow; if none do, it is time soon
		p.wake = p.decided.Add(factsShare * p.decidedIn)
		return nil
	}
	p.owed = false
	_, err = p.decideNow(ctx)
	return err
}

// decideNow also ends the trouble there was: facts may go on while no plan can.
func (p *Planner) decideNow(ctx context.Context) (published bool, err error) {
	began := p.Now()
	published, err = p.decide(ctx)
	if p.decided = p.Now(); !published { // or it has waited for the disk, too
		p.decidedIn = p.decided.Sub(began)
	}
	if err == nil && p.trouble.end() {
		p.Metrics.blocked.Set(0)
		p.Logger.Info().Msg("going on")
	}
	return published, err
}

// retryDelay is how long the planner waits after the bus failed it.
const retryDelay = time.Second

func (p *Planner) tolerate(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, eventlog.ErrConflict):
		p.Metrics.conflicts.Inc()
		p.Logger.Debug().Msg("lost a race, folding on")
		if err := p.View.CatchUp(ctx); err != nil {
			return p.tolerate(ctx, fmt.Errorf("catch up after a lost race: %w", err))
		}
		p.wake = p.Now()
		return nil
	case errors.Is(err, eventlog.ErrGap):
		return err
	case ctx.Err() != nil:
		return nil
	}
	if p.trouble.begin(err) { // the same is said once, however long it lasts
		p.Metrics.blocked.Set(1)
		p.Logger.Warn().Err(err).Msg("could not go on, trying again")
	}
	p.wake = p.Now().Add(retryDelay)
	return nil
}
