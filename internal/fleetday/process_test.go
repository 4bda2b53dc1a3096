package fleetday

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// lease is what the commands have when nobody sets another.
const lease = agent.DefaultLease

// life is a process from its start to its end.
type life struct {
	name string
	link *link
	log  zerolog.Logger
}

// process is a program that is started again when it ends because the server
// was away, as by any service manager.
type process struct {
	rig    *rig
	name   string
	run    func(context.Context, life) error
	link   *link
	cancel context.CancelFunc
	done   chan struct{}

	mu  sync.Mutex
	ups []stretch
}

// stretch is a time for which a process ran; to is zero while it does.
type stretch struct{ from, to time.Time }

// start begins a life of a process once the one before is over.
func (r *rig) start(name string, run func(context.Context, life) error) *process {
	p := r.processes[name]
	if p == nil {
		p = &process{rig: r, name: name, run: run}
		r.processes[name] = p
	}
	p.wait()
	ctx, cancel := context.WithCancel(context.Background())
	p.link, p.cancel, p.done = &link{site: r.site}, cancel, make(chan struct{})
	r.diary.tell("start %s", name)
	p.mu.Lock()
	p.ups = append(p.ups, stretch{from: time.Now()})
	p.mu.Unlock()
	go p.live(ctx, life{name, p.link, r.diary.logger(name)}, p.done)
	return p
}

// restartPause keeps a process that ends at once from being started in a loop.
const restartPause = time.Second

func (p *process) live(ctx context.Context, l life, done chan<- struct{}) {
	defer close(done)
	defer p.down() // it may have been told to end by a command
	for {
		err := p.run(ctx, l)
		switch {
		case ctx.Err() != nil || err == nil:
			return
		case !errors.Is(err, errStart):
			p.rig.Errorf("%s ended by itself at %s: %v", p.name, time.Since(p.rig.began), err)
		}
		p.rig.diary.tell("%s ended by itself: %v", p.name, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartPause):
		}
	}
}

// errStart says that the server was away when a process started: the only
// reason for which one may end by itself.
var errStart = errors.New("the server was not there at the start")

// stop is what SIGTERM does.
func (p *process) stop() {
	p.order()
	p.wait()
}

func (p *process) order() {
	if p.cancel != nil {
		p.rig.diary.tell("stop %s", p.name)
		p.down()
		p.cancel()
	}
}

// kill is what kill -9 does: whatever the process still does, nobody hears of.
func (p *process) kill() {
	p.rig.diary.tell("kill %s", p.name)
	p.down()
	p.link.sever()
	p.cancel()
}

// down ends a stretch of running, once.
func (p *process) down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := &p.ups[len(p.ups)-1]; last.to.IsZero() {
		last.to = time.Now()
	}
}

// running says whether nobody has ended the process since it started.
func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ups[len(p.ups)-1].to.IsZero()
}

// ran says whether the process ran for the whole of a time.
func (p *process) ran(from, to time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, up := range p.ups {
		if up.from.Before(from) && (up.to.IsZero() || up.to.After(to)) {
			return true
		}
	}
	return false
}

func (p *process) wait() {
	if p.done != nil {
		<-p.done
	}
}

// again starts the process anew.
func (p *process) again() { p.rig.start(p.name, p.run) }

// lastStart is when the process started last before that time.
func (p *process) lastStart(before time.Time) (start time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, up := range p.ups {
		if up.from.Before(before) {
			start = up.from
		}
	}
	return start
}

// connect does what each service does first.
func (l life) connect(ctx context.Context) (*eventlog.Bus, error) {
	bus, err := eventlog.Connect(ctx, eventlog.Options{InProcess: l.link, Name: l.name, Replicas: 1, Logger: l.busLogger()})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	if err := bus.EnsureStreams(ctx); err != nil {
		bus.Close()
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	return bus, nil
}

func (l life) busLogger() func(string, error) {
	return func(event string, err error) { l.log.Info().Err(err).Msg(event) }
}

// planner is what cmd/planner runs, with its defaults.
func (r *rig) planner(ctx context.Context, l life) error {
	bus, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer bus.Close()
	sightings, err := bus.Sightings(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	defer sightings.Close()
	statements, err := bus.Statements(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	defer statements.Close()
	v := view.New(bus.Log())
	p, err := planner.New(planner.Config{
		Log: bus.Log(), View: v, Inventories: view.NewInventories(bus.GetInventory),
		Sightings: sightings, Statements: statements, Lease: lease,
		Policy: engine.DefaultPolicy(), Safeguards: engine.DefaultSafeguards(), Logger: l.log,
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return follow(ctx, v) })
	g.Go(func() error { return p.Run(ctx) })
	return g.Wait()
}

// follow runs a view, which may end only before it has found the log.
func follow(ctx context.Context, v *view.View) error {
	err := v.Run(ctx)
	if err != nil && !v.CaughtUp() {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	return err
}

// executor is what cmd/executor runs, with its defaults, for agents that others
// bring up. Both executors share the root issuer, as the command asks for.
func (r *rig) executor(ctx context.Context, l life) error {
	bus, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer bus.Close()
	actions, err := bus.Actions(ctx, executor.DefaultConcurrency, executor.DefaultAckWait)
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	defer actions.Close()
	v := view.New(bus.Log())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return follow(ctx, v) })
	g.Go(func() error { return r.execute(ctx, l, bus, v, actions) })
	return g.Wait()
}

func (r *rig) execute(ctx context.Context, l life, bus *eventlog.Bus, v *view.View, actions executor.Actions) error {
	inventories := view.NewInventories(bus.GetInventory)
	set, err := handlers.New(ctx, handlers.Config{
		Log: bus.Log(), View: v, Inventories: inventories, Commands: bus,
		CADir: filepath.Join(r.dir, "ca"), Logger: l.log,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	for kind, h := range set {
		set[kind] = r.runs.noting(l.name, h)
	}
	e, err := executor.New(executor.Config{
		Log: bus.Log(), View: v, Inventories: inventories, Actions: actions, Handlers: set, Logger: l.log,
	})
	if err != nil {
		return err
	}
	return e.Run(ctx)
}

// agent is what cmd/node-agent runs, with its defaults.
func (r *rig) agent(id fleet.NodeID) func(context.Context, life) error {
	return func(ctx context.Context, l life) (err error) {
		a, err := agent.Open(agent.Config{Node: id, Dir: r.folder(id)}, l.log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		bus, err := agent.Dial(ctx, func(ctx context.Context) (agent.Bus, error) {
			return eventlog.Connect(ctx, eventlog.Options{InProcess: l.link, Name: l.name, Logger: l.busLogger()})
		}, l.log)
		if err != nil {
			return err
		}
		return a.Run(ctx, bus)
	}
}

// folder is where the node's agent keeps key and credential.
func (r *rig) folder(id fleet.NodeID) string { return filepath.Join(r.dir, "nodes", string(id)) }

// ran is one run of a handler.
type ran struct {
	executor string
	action   fleet.ActionID
	need     fleet.Action
	at       time.Time
}

// runs is who ran which action when.
type runs struct {
	mu  sync.Mutex
	all []ran
}

// noting lets the handler do its work and notes that it began.
func (n *runs) noting(name string, h executor.Handler) executor.Handler {
	f := executor.HandlerFunc(func(ctx context.Context, t executor.Task) (executor.Result, error) {
		n.mu.Lock()
		n.all = append(n.all, ran{name, t.Flight.ID, t.Flight.Action, time.Now()})
		n.mu.Unlock()
		return h.Handle(ctx, t)
	})
	if timed, ok := h.(executor.Timed); ok {
		return timedHandler{f, timed}
	}
	return f
}

type timedHandler struct {
	executor.Handler
	executor.Timed
}

// of are the runs for a need.
func (n *runs) of(need fleet.Action) (some []ran) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, run := range n.all {
		if run.need == need {
			some = append(some, run)
		}
	}
	return some
}

// diary is what was done and what the services logged, by fake time. It is
// printed when a story fails.
type diary struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func (d *diary) tell(format string, args ...any) { d.note(time.Now(), fmt.Sprintf(format, args...)) }

func (d *diary) note(at time.Time, line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%12.3fs  %s", at.Sub(d.began).Seconds(), line))
}

// kept is how many lines of the diary are printed.
const kept = 400

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines[max(0, len(d.lines)-kept):], "\n")
}

// logger is a process's logger into the diary.
func (d *diary) logger(name string) zerolog.Logger {
	return zerolog.New(diaryWriter{d, name}).Level(zerolog.InfoLevel)
}

type diaryWriter struct {
	diary *diary
	name  string
}

func (w diaryWriter) Write(line []byte) (int, error) {
	w.diary.tell("%-10s %s", w.name, strings.TrimSpace(string(line)))
	return len(line), nil
}
