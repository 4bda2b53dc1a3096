package failover

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli/announce"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// member is one service or agent with its own connection.
type member struct {
	bus     *eventlog.Bus
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	logged  logBuffer
	metrics *planner.Metrics // of a planner
	running atomic.Int64     // of an executor
	gone    bool
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// count says how often something was logged.
func (b *logBuffer) count(message string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), `"message":"`+message+`"`)
}

// join runs a member's parts until it is stopped or killed.
func (c *crew) join(m *member, parts ...func(context.Context) error) *member {
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(c.ctx)
	for _, part := range parts {
		m.ended.Go(func() { _ = part(ctx) }) // a killed one ends with an error
	}
	c.members = append(c.members, m)
	return m
}

// stop is a farewell, kill is kill -9 as far as others can tell.
func (m *member) stop() {
	if !m.gone {
		m.gone = true
		m.cancel()
		m.ended.Wait()
		m.bus.Close()
	}
}

func (m *member) kill() {
	m.gone = true
	m.bus.Close()
	m.cancel()
	m.ended.Wait()
}

func (m *member) logger() zerolog.Logger { return zerolog.New(&m.logged) }

// planner starts a planner. log stands between it and its log; nil means nothing.
func (c *crew) planner(log func(eventlog.Log) eventlog.Log) *member {
	c.Helper()
	m := &member{bus: c.connect(), metrics: planner.NewMetrics()}
	sightings, err := m.bus.Sightings(c.ctx)
	c.must(err)
	statements, err := m.bus.Statements(c.ctx)
	c.must(err)
	v, own := view.New(m.bus.Log()), m.bus.Log()
	if log != nil {
		own = log(own)
	}
	policy := engine.DefaultPolicy()
	policy.StuckAfter = stuckAfter
	p, err := planner.New(planner.Config{
		Log: own, View: v, Inventories: view.NewInventories(m.bus.GetInventory),
		Sightings: sightings, Statements: statements, Lease: c.lease,
		Policy: policy, Metrics: m.metrics, Logger: m.logger(),
	})
	c.must(err)
	return c.join(m, v.Run, func(ctx context.Context) error {
		defer sightings.Close()
		defer statements.Close()
		defer announce.Planner(m.bus, v, p, m.logger())()
		return p.Run(ctx)
	})
}

// executor starts an executor. wrap stands around each of its handlers; nil
// means nothing.
func (c *crew) executor(wrap func(executor.Handler) executor.Handler) *member {
	c.Helper()
	m := &member{bus: c.connect()}
	v, inventories := view.New(m.bus.Log()), view.NewInventories(m.bus.GetInventory)
	return c.join(m, v.Run, func(ctx context.Context) error {
		defer announce.Executor(m.bus, v, &m.running, m.logger())()
		config := handlers.Config{
			Log: m.bus.Log(), View: v, Inventories: inventories, Commands: m.bus, Driver: handlers.Wait{},
			CADir: filepath.Join(c.dir, "ca"), Attest: c.clients.Verifiers(), Logger: m.logger(),
		}
		set, err := handlers.New(ctx, config)
		if err != nil {
			return err
		}
		renewer, err := handlers.NewRenewer(config, m.bus, nil)
		if err != nil {
			return err
		}
		for kind, h := range set {
			if wrap != nil {
				set[kind] = wrap(h)
			}
		}
		actions, err := m.bus.Actions(ctx, executor.DefaultConcurrency, executor.DefaultAckWait)
		if err != nil {
			return err
		}
		defer actions.Close()
		e, err := executor.New(executor.Config{
			Log: m.bus.Log(), View: v, Inventories: inventories, Actions: actions, Handlers: set,
			Running: &m.running, Logger: m.logger(),
		})
		if err != nil {
			return err
		}
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return e.Run(ctx) })
		g.Go(func() error { return renewer.Run(ctx) })
		return g.Wait()
	})
}

func (c *crew) agent(id fleet.NodeID) *member {
	c.Helper()
	m := &member{bus: c.connect()}
	dir := filepath.Join(c.dir, string(id))
	c.must(c.clients.Equip(id, dir))
	return c.join(m, func(ctx context.Context) error {
		return agent.Run(ctx, agent.Config{
			Node: id, Dir: dir, Lease: c.lease, Evidence: attest.ProversIn(dir).Prove,
		}, agentBus{m.bus, c}, m.logger())
	})
}

// metric is the value of one of a planner's counters.
func (c *crew) metric(m *member, name string) float64 {
	c.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.metrics)
	families, err := registry.Gather()
	c.must(err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	c.Fatalf("no metric is named %s", name)
	return 0
}
