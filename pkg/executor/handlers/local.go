package handlers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// DefaultStopGrace is how long an agent has between SIGTERM and SIGKILL.
const DefaultStopGrace = 5 * time.Second

// LocalOptions of a Local. Dir and URL are required.
type LocalOptions struct {
	// Dir holds one folder and one log file for each node, named by
	// [events.FileName].
	Dir string
	// Program and its first arguments; nil means this program and "node-agent".
	Program []string
	// URL of the NATS server, and the first token of the fleet's subjects; an
	// empty prefix is left to the agent.
	URL, Prefix string
	// Creds is a file with NATS credentials for the agents; empty for none.
	Creds string
	// Identity is the folder of the client certificate by which the node's
	// agent connects; nil for a server that asks for none.
	Identity func(fleet.NodeID) string
	// Attest gives each node its evidence before its agent starts; nil leaves
	// that to others.
	Attest *attest.Local
	// Lease of the agents; 0 leaves it to them.
	Lease time.Duration
	// StopGrace is how long an agent has to end by itself; 0 means 5 s.
	StopGrace time.Duration
	// OnExit hears of each agent that ended without being told to by this
	// Local; nil means nobody.
	OnExit func(id fleet.NodeID, pid int, err error)
	// Logger of the driver; the agents log from the same level on, each to its
	// own file.
	Logger zerolog.Logger
}

// Local is the Driver that runs agents as child processes. Each leads a process
// group of its own, so that a Ctrl-C in the terminal does not reach it, and
// holds the end of a pipe that breaks when this process dies in whatever way,
// which an agent takes as a sign to end. None sees the variables NATS_* and
// FLEETFOLD_* of this process: all that it is to know stands in its arguments.
//
// Local never starts an agent again by itself: one that ended is lost, and the
// planner asks for it.
type Local struct {
	LocalOptions
	mu     sync.Mutex
	agents map[fleet.NodeID]*agent
	closed bool
	// reapers are added to under mu, and not after closed.
	reapers sync.WaitGroup
}

// NewLocal makes the folder for the nodes.
func NewLocal(o LocalOptions) (*Local, error) {
	if o.Dir == "" || o.URL == "" {
		return nil, errors.New("configure local driver: folder and URL are both required")
	}
	if o.Program == nil {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own program: %w", err)
		}
		o.Program = []string{self, "node-agent"}
	}
	orDefault(&o.StopGrace, DefaultStopGrace)
	if o.OnExit == nil {
		o.OnExit = func(fleet.NodeID, int, error) {}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for nodes: %w", err)
	}
	return &Local{LocalOptions: o, agents: make(map[fleet.NodeID]*agent)}, nil
}

// Start runs the node's agent unless it runs already. The process outlives ctx.
func (l *Local) Start(_ context.Context, id fleet.NodeID) (<-chan error, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("local driver is closed")
	}
	if a := l.agents[id]; a != nil {
		return a.gone(), nil
	}
	if l.Attest != nil {
		if err := l.Attest.Equip(id, l.folder(id)); err != nil {
			return nil, err
		}
	}
	a, err := l.launch(id)
	if err != nil {
		return nil, err
	}
	l.agents[id] = a
	l.Logger.Info().Str(field.Node, string(id)).Int("pid", a.pid()).Msg("agent started")
	l.reapers.Go(func() { l.reap(a) })
	return a.gone(), nil
}

// reap forgets an agent that has ended, before anybody hears of it: whoever
// does may start the next one.
func (l *Local) reap(a *agent) {
	err := a.wait()
	l.mu.Lock()
	delete(l.agents, a.id)
	l.mu.Unlock()
	told := a.told()
	l.Logger.Info().Str(field.Node, string(a.id)).Int("pid", a.pid()).AnErr(field.Cause, err).Bool("expected", told).Msg("agent ended")
	if !told {
		l.OnExit(a.id, a.pid(), err)
	}
	a.finish(err)
}

// Resume starts the agents of those nodes that have a folder here, which is
// what a fleet that was stopped as a whole needs. It reports all errors at once.
func (l *Local) Resume(ctx context.Context, ids []fleet.NodeID) error {
	var problems []error
	for _, id := range ids {
		_, err := os.Stat(l.folder(id))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = l.Start(ctx, id)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("resume node %q: %w", id, err))
		}
	}
	return errors.Join(problems...)
}

// ResumePresent resumes the agents of the nodes that the log calls present and
// that this machine ran: they ended with the last executor, and nobody may have
// missed them yet. One that does not start is logged; it will be lost, and the
// planner asks for it again.
func (l *Local) ResumePresent(ctx context.Context, view executor.View) error {
	if err := view.CatchUp(ctx); err != nil {
		return fmt.Errorf("fold before agents are started again: %w", err)
	}
	var ids []fleet.NodeID
	view.Read(func(s *projection.State) {
		for _, node := range s.Observed().Nodes {
			if node.Present {
				ids = append(ids, node.ID)
			}
		}
	})
	if err := l.Resume(ctx, ids); err != nil {
		l.Logger.Error().Err(err).Msg("could not start every agent again")
	}
	return nil
}

// Running lists the process ids of the agents.
func (l *Local) Running() map[fleet.NodeID]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	pids := make(map[fleet.NodeID]int, len(l.agents))
	for id, a := range l.agents {
		pids[id] = a.pid()
	}
	return pids
}

// Remove stops the agent and deletes its folder, key included. Its log stays.
func (l *Local) Remove(_ context.Context, id fleet.NodeID) error {
	l.mu.Lock()
	a := l.agents[id]
	l.mu.Unlock()
	if a != nil {
		a.stop(l.StopGrace)
	}
	if err := os.RemoveAll(l.folder(id)); err != nil {
		return fmt.Errorf("delete folder of node: %w", err)
	}
	return nil
}

// Close stops all agents at once and waits for them. Their folders stay.
func (l *Local) Close() {
	l.mu.Lock()
	l.closed = true
	var all []*agent
	for _, a := range l.agents {
		all = append(all, a)
	}
	l.mu.Unlock()
	var stops sync.WaitGroup
	for _, a := range all {
		stops.Go(func() { a.stop(l.StopGrace) })
	}
	stops.Wait()
	l.reapers.Wait()
}

// folder of a node. Ids such as "../x" or "a/b" become plain names.
func (l *Local) folder(id fleet.NodeID) string { return filepath.Join(l.Dir, events.FileName(id)) }

func (l *Local) arguments(id fleet.NodeID) []string {
	args := append([]string(nil), l.Program[1:]...)
	// "=" keeps an id that begins with a dash from being read as a flag.
	args = append(args, "--id="+string(id), "--dir="+l.folder(id), "--nats="+l.URL, "--stop-on-stdin-eof")
	if l.Prefix != "" {
		args = append(args, "--prefix="+l.Prefix)
	}
	if l.Creds != "" {
		args = append(args, "--creds="+l.Creds)
	}
	if l.Identity != nil {
		args = append(args, "--identity="+l.Identity(id))
	}
	if l.Lease > 0 {
		args = append(args, "--lease="+l.Lease.String())
	}
	if level := l.Logger.GetLevel(); level >= zerolog.DebugLevel && level <= zerolog.ErrorLevel {
		args = append(args, "--log-level="+level.String())
	}
	return args
}
