// Package standalone runs a whole fleet on this machine in one process: the
// NATS server, the planner, the executor and, as child processes, the agents.
//
// A Fleet starts from its folder as it was left: agents that the log calls
// present are started again before anyone could miss them, so that a restart
// needs no action. It stops in the reverse order, planner first, so that the
// agents' going is not mistaken for nodes that left.
package standalone

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli/snapshots"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/buslog"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/refusals"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// Options of a Fleet.
type Options struct {
	// Dir holds the log, the CA and the agents' folders; it must exist.
	Dir string
	// Port the server listens on, on loopback; 0 means a free one.
	Port int
	// MonitorPort of the server's monitoring pages, on loopback; 0 means none.
	MonitorPort int
	// Prefix of the fleet's subjects.
	Prefix string
	// Secure lets the server ask everybody who they are, by TLS, and gives each
	// an identity below Dir. Inventory is then the one that will be applied first.
	Secure    bool
	Inventory *fleet.Inventory
	// Mode is how a secure server knows who somebody is; empty means that of Dir,
	// and for a new one what the number of nodes asks for.
	Mode busconf.Mode
	// Lease of the agents, at least 1 s.
	Lease time.Duration
	// Concurrency of the executor.
	Concurrency int
	// EnrollTimeout is the deadline of an enrolment.
	EnrollTimeout time.Duration
	// Safeguards of the planner; zero means the defaults.
	Safeguards engine.Safeguards
	// SnapshotEvery so many records a snapshot is saved; 0 means never.
	SnapshotEvery uint64
	// Played says that somebody else brings the nodes up, with evidence of
	// Fleet.Attest; no agent is started here then.
	Played bool
	// Policy of the planner; zero means the default.
	Policy engine.Policy
	// OnStart sees the state that the fold begins with, OnRecord each record that
	// is folded from there on, old ones first.
	OnStart  func(*projection.State)
	OnRecord func(eventlog.Record, projection.Change)
	// OnAgentExit hears of each agent process that ended on its own.
	OnAgentExit func(id fleet.NodeID, pid int, err error)
	Logger      zerolog.Logger
}

// Fleet is a running fleet.
type Fleet struct {
	options     Options
	server      *natsd.Server
	doors       *doors        // nil where the server asks nobody
	bus         *eventlog.Bus // the planner's
	hands       *eventlog.Bus // the executor's
	log         eventlog.Log
	view        *view.View
	saver       *snapshot.Saver
	inventories *view.Inventories
	planner     *planner.Planner
	driver      *handlers.Local
	attest      *attest.Local
	issuers     *authority.Issuers
	refusals    *refusals.Recorder // the executor's
	busRefusals *refusals.Recorder // the server's
	refusedOn   buslog.Tally       // what it has refused and is not recorded
	sightings   eventlog.Sightings
	statements  eventlog.Statements
	actions     eventlog.Actions
	lock        *flock.Flock
	running     atomic.Int64 // actions
}

// Start brings the server up and connects everything to it. Run does the work.
// What was started is stopped again when Start fails.
func Start(ctx context.Context, o Options) (_ *Fleet, err error) {
	f := &Fleet{options: o}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	for _, step := range []func(context.Context) error{f.takeLock, f.startServer, f.connect, f.makeFold, f.subscribe, f.assemble} {
		if err = step(ctx); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// makeFold is done on streams that are there.
func (f *Fleet) makeFold(ctx context.Context) error {
	if err := f.bus.EnsureStreams(ctx); err != nil {
		return err
	}
	o := f.options
	f.log = f.bus.Log()
	f.view = snapshots.View(f.bus, o.Logger)
	f.saver = snapshots.Saver(f.bus, f.view, o.SnapshotEvery, nil, o.Logger)
	f.inventories = view.NewInventories(f.bus.GetInventory)
	if o.OnStart != nil {
		f.view.OnStart(o.OnStart)
	}
	if o.OnRecord != nil {
		f.view.OnRecord(o.OnRecord)
	}
	return nil
}

// port turns "a free one" into the server's word for it.
func port(p int) int {
	if p == 0 {
		return natsd.RandomPort
	}
	return p
}

func (f *Fleet) subscribe(ctx context.Context) (err error) {
	if f.sightings, err = f.bus.Sightings(ctx); err != nil {
		return fmt.Errorf("watch leases: %w", err)
	}
	if f.statements, err = f.bus.Statements(ctx); err != nil {
		return fmt.Errorf("watch statements: %w", err)
	}
	if f.actions, err = f.hands.Actions(ctx, f.options.Concurrency, executor.DefaultAckWait); err != nil {
		return fmt.Errorf("consume actions: %w", err)
	}
	return nil
}

// assemble makes planner and executor before the fold runs, for they watch it.
func (f *Fleet) assemble(context.Context) (err error) {
	o := f.options
	f.planner, err = planner.New(planner.Config{
		Log: f.log, View: f.view, Inventories: f.inventories, Sightings: f.sightings, Statements: f.statements,
		Paces: f.bus, Lease: o.Lease, Policy: o.Policy, Safeguards: o.Safeguards, Logger: o.Logger,
	})
	if err != nil {
		return err
	}
	f.refusals, err = refusals.New(refusals.Config{Log: f.hands.Log(), View: f.view, Source: events.SourceExecutor, Logger: o.Logger})
	if err != nil {
		return err
	}
	f.view.OnRecord(func(r eventlog.Record, _ projection.Change) { f.refusals.OnRecord(r) })
	f.busRefusals, err = refusals.New(refusals.Config{Log: f.log, View: f.view, Source: events.SourcePlanner, Logger: o.Logger})
	if err != nil {
		return err
	}
	f.view.OnRecord(func(r eventlog.Record, _ projection.Change) { f.busRefusals.OnRecord(r) })
	if f.attest, err = attest.OpenLocal(filepath.Join(o.Dir, "ca"), nil); err != nil {
		return err
	}
	f.issuers, err = authority.New(authority.Config{
		Log: f.hands.Log(), View: f.view, Inventories: f.inventories, Dir: filepath.Join(o.Dir, "ca"), Logger: o.Logger,
	})
	if err != nil {
		return err
	}
	if o.Played {
		return nil
	}
	f.driver, err = f.newDriver()
	return err
}

// Attest vouches for the nodes of this machine.
func (f *Fleet) Attest() *attest.Local { return f.attest }

func (f *Fleet) newDriver() (*handlers.Local, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program for agents: %w", err)
	}
	var identity func(fleet.NodeID) string
	if f.doors != nil {
		identity = func(id fleet.NodeID) string { return busdir.Node(f.doors.dir, id) }
	}
	o := f.options
	return handlers.NewLocal(handlers.LocalOptions{
		Dir: filepath.Join(o.Dir, "nodes"), Program: []string{self, "node-agent"}, Attest: f.attest,
		URL: f.server.URL(), Prefix: o.Prefix, Identity: identity, Lease: o.Lease, OnExit: o.OnAgentExit, Logger: o.Logger,
	})
}

// URL other commands reach the fleet at.
func (f *Fleet) URL() string { return f.server.URL() }

// View is the fleet's live fold.
func (f *Fleet) View() *view.View { return f.view }

// Inventory returns the inventory with that digest.
func (f *Fleet) Inventory(ctx context.Context, digest string) (*fleet.Inventory, error) {
	return f.inventories.Get(ctx, digest)
}

// Settled is closed once nobody is believed present on the log's word alone.
func (f *Fleet) Settled() <-chan struct{} { return f.planner.Settled() }

// Apply puts an inventory into force.
func (f *Fleet) Apply(ctx context.Context, text []byte, actor string) (generation uint64, applied bool, err error) {
	if err := f.admit(text); err != nil {
		return 0, false, err
	}
	return planner.Apply(ctx, f.bus, f.log, f.view, text, actor, "", time.Now())
}

// Close stops what Start began, agents included, and waits for it.
func (f *Fleet) Close() {
	if f.driver != nil {
		f.driver.Close()
	}
	for _, c := range []interface{ Close() }{f.sightings, f.statements, f.actions} {
		if c != nil {
			c.Close()
		}
	}
	if f.hands != nil && f.hands != f.bus {
		f.hands.Close()
	}
	if f.bus != nil {
		f.bus.Close()
	}
	if f.server != nil {
		f.server.Shutdown()
	}
	if f.lock != nil {
		_ = f.lock.Unlock() // it is ours only as long as the process lives anyway
	}
}

// takeLock keeps a second fleet out of the folder: two servers on one store
// would damage it.
func (f *Fleet) takeLock(context.Context) error {
	lock := flock.New(filepath.Join(f.options.Dir, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock folder %s: %w", f.options.Dir, err)
	}
	if !held {
		return fmt.Errorf("folder %s is in use by another 'fleetfold up'", f.options.Dir)
	}
	f.lock = lock
	return nil
}
