package fleetday

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
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
