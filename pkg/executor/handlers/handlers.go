package handlers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Commands reaches agents, as eventlog.Bus does.
type Commands interface {
	// Command returns the agent's answer; eventlog.ErrNoAgent when nobody listens.
	Command(ctx context.Context, e *events.Event) (*events.Event, error)
}

// How long things may take unless configured.
const (
	DefaultEnrollTimeout = 60 * time.Second
	DefaultIssueTimeout  = 30 * time.Second

	// DefaultStopTimeout is how long a decommission waits for the agent.
	DefaultStopTimeout = 15 * time.Second
	// DefaultRedeliver is the pause before a credential that was not proved is
	// delivered again.
	DefaultRedeliver = 2 * time.Second
	// recordTimeout is what a decommission has beyond StopTimeout.
	recordTimeout = 15 * time.Second
	// answerTimeout is how long an answer may take before a command is repeated.
	answerTimeout = 5 * time.Second
	// unreachableRetry is the pause after nobody listened on a node's command
	// subject: an agent that just came up may not listen yet.
	unreachableRetry = 500 * time.Millisecond
)

// Config of the handlers. Log, View, Inventories, Commands and CADir are required.
type Config struct {
	Log         executor.Log
	View        executor.View
	Inventories executor.Inventories
	Commands    Commands
	// Driver brings agents up and away; nil means Wait.
	Driver Driver
	// Attest judges the evidence of nodes before they are given a credential;
	// kinds that it lacks are refused.
	Attest attest.Verifiers
	// Tokens are forgotten with the node that has shown them; nil means that
	// there are none.
	Tokens Tokens
	// CADir holds the issuers, which are made there if they are missing. It is
	// passed over where Issuers are given.
	CADir string
	// Issuers of the fleet; nil means those in CADir.
	Issuers *authority.Issuers
	// EnrollTimeout, IssueTimeout and StopTimeout bound an enrolment, an issue
	// and the wait for an agent that was told to stop; 0 means 60 s, 30 s, 15 s.
	EnrollTimeout, IssueTimeout, StopTimeout time.Duration
	// Redeliver is the pause between deliveries of a credential; 0 means 2 s.
	Redeliver time.Duration
	// Refusals is told of the requests that a Renewer refuses, and of what nodes
	// report, as refusals.Recorder is, which puts them on the log; nil means that nobody is.
	Refusals interface {
		Add(channel string, id fleet.NodeID, err error)
		AddMany(channel string, id fleet.NodeID, err error, n uint64)
	}
	Logger zerolog.Logger
	// Now is the clock of certificates and events; nil means time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	if c.Log == nil || c.View == nil || c.Inventories == nil || c.Commands == nil || c.CADir == "" && c.Issuers == nil {
		return c, errors.New("configure handlers: log, view, inventories, commands and CA folder are all required")
	}
	for _, d := range []*time.Duration{&c.EnrollTimeout, &c.IssueTimeout, &c.StopTimeout, &c.Redeliver} {
		if *d < 0 {
			return c, fmt.Errorf("configure handlers: a timeout is %s, must not be negative", *d)
		}
	}
	orDefault(&c.EnrollTimeout, DefaultEnrollTimeout)
	orDefault(&c.IssueTimeout, DefaultIssueTimeout)
	orDefault(&c.StopTimeout, DefaultStopTimeout)
	orDefault(&c.Redeliver, DefaultRedeliver)
	if c.Driver == nil {
		c.Driver = Wait{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// withIssuers has issuers, if need be those in CADir.
func (c Config) withIssuers() (Config, error) {
	if c.Issuers != nil {
		return c, nil
	}
	issuers, err := authority.New(authority.Config{
		Log: c.Log, View: c.View, Inventories: c.Inventories, Dir: c.CADir, Logger: c.Logger, Now: c.Now,
	})
	c.Issuers = issuers
	return c, err
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// New returns a handler for each type of action. It folds to the end of the log;
// if an inventory is in force, it loads or makes its issuers and publishes them.
// If none is, that happens before the first issue.
func New(ctx context.Context, c Config) (map[fleet.ActionType]executor.Handler, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if c, err = c.withIssuers(); err != nil {
		return nil, err
	}
	if err := c.Issuers.Prepare(ctx); err != nil {
		return nil, err
	}
	issue := &issuer{Config: c, facts: eventlog.NewGroup(c.Log)}
	return map[fleet.ActionType]executor.Handler{
		fleet.EnrollNode:               timed{&enroller{Config: c, issuer: issue}, c.EnrollTimeout},
		fleet.IssueCredential:          timed{issue, c.IssueTimeout},
		fleet.DecommissionNode:         timed{&decommissioner{c}, c.StopTimeout + recordTimeout},
		fleet.DisableStrictEnforcement: executor.HandlerFunc(c.disable),
		fleet.EnableStrictEnforcement:  executor.HandlerFunc(c.enable),
	}, nil
}

// timed gives a handler its deadline.
type timed struct {
	executor.Handler
	timeout time.Duration
}

func (t timed) Timeout() time.Duration { return t.timeout }

func (c Config) disable(_ context.Context, t executor.Task) (executor.Result, error) {
	fact := t.Fact(c.Now(), events.TypeEnforcementDisabled, &events.EnforcementDisabled{Generation: t.Generation, Action: t.Flight.ID})
	return executor.Result{Closing: []eventlog.Entry{{Event: fact}}}, nil
}

// enable takes effect by being a fact, and only on the very log it was decided on.
func (c Config) enable(_ context.Context, t executor.Task) (executor.Result, error) {
	fact := t.Fact(c.Now(), events.TypeEnforcementEnabled, &events.EnforcementEnabled{Generation: t.Generation, Action: t.Flight.ID})
	return executor.Result{Closing: []eventlog.Entry{{Event: fact, Fence: eventlog.LastInLog(t.Basis)}}}, nil
}
