package failover

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/bubble"
	"github.com/fleetfold/fleetfold/internal/history"
	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func TestMain(m *testing.M) { leak.Main(m) }

// stuckAfter is what all planners here use: not the default, so that it shows
// who judges by the recorded policy.
const stuckAfter = 2

// crew is a fleet on a real server in the fake time of a bubble.
type crew struct {
	*testing.T
	ctx         context.Context
	dir         string
	server      *natsd.Server
	bus         *eventlog.Bus
	view        *view.View
	inventories *view.Inventories
	members     []*member
	// clients vouches for the agents.
	clients *attest.Local
	// lease of the agents, and of the planners who wait for them.
	lease time.Duration
	// filter is asked before a message to or from an agent goes on its way;
	// false: it is lost. Nil: none is.
	filter atomic.Pointer[func(*events.Event) bool]
}

// story runs tell with a crew that consists of a server only.
func story(t *testing.T, tell func(c *crew)) {
	t.Helper()
	storyOf(t, time.Hour, tell)
}

// storyOf is story with a limit of its own, in fake time.
func storyOf(t *testing.T, limit time.Duration, tell func(c *crew)) {
	t.Helper()
	dir := t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), limit) // fake
		defer cancel()
		clients, err := attest.OpenLocal(filepath.Join(dir, "clients"), nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &crew{T: t, ctx: ctx, dir: dir, clients: clients, lease: 15 * time.Second}
		c.server, err = natsd.Start(natsd.Options{Dir: filepath.Join(dir, "streams")})
		c.must(err)
		defer c.server.Shutdown()
		c.bus = c.connect()
		defer c.bus.Close()
		c.must(c.bus.EnsureStreams(ctx))
		c.view, c.inventories = view.New(c.bus.Log()), view.NewInventories(c.bus.GetInventory)
		var viewing sync.WaitGroup
		viewing.Go(func() { _ = c.view.Run(ctx) })
		tell(c)
		c.judge()
		for _, m := range c.members {
			m.stop()
		}
		cancel()
		viewing.Wait()
		time.Sleep(time.Minute) // fake; requests that are open at the server end by their time
	})
}

func (c *crew) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *crew) connect() *eventlog.Bus {
	c.Helper()
	bus, err := eventlog.Connect(c.ctx, eventlog.Options{InProcess: c.server, Name: c.Name()})
	c.must(err)
	return bus
}

// want puts a strict inventory of these nodes into force.
func (c *crew) want(ids ...fleet.NodeID) {
	c.Helper()
	c.wantFor(24*time.Hour, ids...)
}

// wantFor is want with a time that credentials last; they are due in its last
// quarter.
func (c *crew) wantFor(ttl time.Duration, ids ...fleet.NodeID) {
	c.Helper()
	var b strings.Builder
	b.WriteString("trust_domain: fleet.example\nregions:\n  - name: oslo\n    nodes:\n")
	for _, id := range ids {
		fmt.Fprintf(&b, "      - {id: %s, attestor: mtls-cert, cred_ttl: %ds, renew_before: %ds}\n", id, int(ttl.Seconds()), int(ttl.Seconds()/4))
	}
	b.WriteString("quorum: {width: 1}\nenforcement: {require_sig: true}\n")
	_, _, err := planner.Apply(c.ctx, c.bus, c.bus.Log(), c.view, []byte(b.String()), "test", "", time.Now())
	c.must(err)
}

func nodes(n int) (ids []fleet.NodeID) {
	for i := range n {
		ids = append(ids, fleet.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	return ids
}

// await waits until the fold is as asked, and returns how long that took.
func (c *crew) await(what string, holds func(*projection.State) bool) time.Duration {
	c.Helper()
	began := time.Now()
	if err := c.view.Wait(c.ctx, holds); err != nil {
		c.Fatalf("%s: %v\n%s", what, err, c.status().Missing())
	}
	return time.Since(began)
}

// awaitConverged waits until the fleet is strict and nothing is in flight.
func (c *crew) awaitConverged() time.Duration {
	c.Helper()
	return c.await("converge", func(s *projection.State) bool { return s.StrictEnforced() && s.Ledger().Outstanding() == 0 })
}

// status is what 'fleetfold status' shows.
func (c *crew) status() (s status.Status) {
	c.Helper()
	var digest string
	c.view.Read(func(st *projection.State) { digest = st.Inventory().Digest })
	inv, err := c.inventories.Get(context.WithoutCancel(c.ctx), digest)
	c.must(err)
	c.view.Read(func(st *projection.State) { s = status.Of(st, inv, time.Now()) })
	services, err := c.bus.Services(c.ctx)
	if err == nil {
		s.SetServices(services, s.Sequence)
	}
	return s
}

// active counts the services that answer, as "2 planners, 2 executors".
func (c *crew) active() string {
	c.Helper()
	by := make(map[eventlog.ServiceKind]int)
	for _, s := range c.status().Services {
		by[s.Kind]++
	}
	return fmt.Sprintf("%d planners, %d executors", by[eventlog.PlannerService], by[eventlog.ExecutorService])
}

func (c *crew) check(what string, got, want any) {
	c.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// judge holds the whole log to its rules.
func (c *crew) judge() {
	c.Helper()
	records, err := c.bus.Log().Read(c.ctx, 0, 100_000)
	c.must(err)
	for _, v := range history.Check(records, func(digest string) (*fleet.Inventory, error) { return c.inventories.Get(c.ctx, digest) }) {
		c.Errorf("%v", v)
	}
	if len(records) == 0 {
		c.Error(errors.New("the log is empty"))
	}
}
