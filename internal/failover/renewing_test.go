package failover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// agentBus is an agent's connection on which messages may get lost.
type agentBus struct {
	*eventlog.Bus
	crew *crew
}

// renewal is a story of hours, with long leases so that there are fewer
// heartbeats in it.
func renewal(t *testing.T, limit time.Duration, tell func(c *crew)) {
	t.Helper()
	storyOf(t, limit, func(c *crew) {
		c.lease = 10 * time.Minute
		tell(c)
	})
}

var errLost = errors.New("lost on its way")

func (b agentBus) lets(e *events.Event) bool {
	lets := b.crew.filter.Load()
	return lets == nil || (*lets)(e)
}

func (c *crew) between(lets func(*events.Event) bool) { c.filter.Store(&lets) }

func (b agentBus) Request(ctx context.Context, id fleet.NodeID, e *events.Event) (*events.Event, error) {
	if !b.lets(e) {
		return nil, errLost
	}
	answer, err := b.Bus.Request(ctx, id, e)
	if err == nil && !b.lets(answer) {
		return nil, errLost
	}
	return answer, err
}

func (b agentBus) State(ctx context.Context, e *events.Event) error {
	if !b.lets(e) {
		return errLost
	}
	return b.Bus.State(ctx, e)
}

func (b agentBus) ServeCommands(ctx context.Context, id fleet.NodeID, handle func(context.Context, *events.Event) *events.Event) (func(), error) {
	return b.Bus.ServeCommands(ctx, id, func(ctx context.Context, e *events.Event) *events.Event {
		if !b.lets(e) {
			return nil // answered as an error, and nothing was done
		}
		return handle(ctx, e)
	})
}

// count is how many events of each type the log holds, and the last sequence.
func (c *crew) count() (n map[events.Type]int, last uint64) {
	c.Helper()
	n = make(map[events.Type]int)
	for {
		records, err := c.bus.Log().Read(c.ctx, last, 1000)
		c.must(err)
		if len(records) == 0 {
			return n, last
		}
		for _, r := range records {
			n[r.Event.Type]++
			last = r.Sequence
		}
	}
}

// mustNotAct checks that nothing was planned, ended or revoked behind a sequence.
func (c *crew) mustNotAct(after uint64) {
	c.Helper()
	for {
		records, err := c.bus.Log().Read(c.ctx, after, 1000)
		c.must(err)
		if len(records) == 0 {
			return
		}
		for _, r := range records {
			after = r.Sequence
			switch r.Event.Type {
			case events.TypeCredentialIssued, events.TypeCredentialProved, events.TypeRotationRequested,
				events.TypeNodeAppeared, events.TypeNodeLeft, events.TypeControlPaused:
			default:
				c.Errorf("%d %s %s: only renewals were to be seen", r.Sequence, r.Event.Type, r.Event.Node)
			}
		}
	}
}

// serials is what each node has proved.
func (c *crew) serials(ids ...fleet.NodeID) (serials []string) {
	c.Helper()
	c.must(c.view.CatchUp(c.ctx))
	c.view.Read(func(s *projection.State) {
		for _, id := range ids {
			serial := ""
			if n, _ := s.Node(id); n.Proved != nil {
				serial = n.Proved.Serial
			}
			serials = append(serials, serial)
		}
	})
	return serials
}

// awaitRenewed waits until a node has proved another credential than that.
func (c *crew) awaitRenewed(id fleet.NodeID, old string) {
	c.Helper()
	c.await("renew "+string(id), func(s *projection.State) bool {
		n, _ := s.Node(id)
		return n.Proved != nil && n.Proved.Serial != old
	})
}

// shortLife is long enough for a renewal that is tried for some time.
const shortLife = 8 * time.Minute

// converged is a fleet that is as it should be, at the sequence that it returns.
func (c *crew) converged(ttl time.Duration, ids ...fleet.NodeID) (since uint64) {
	c.Helper()
	c.wantFor(ttl, ids...)
	for _, id := range ids {
		c.agent(id)
	}
	c.awaitConverged()
	_, since = c.count()
	return since
}

// mustUse checks that the agent's folder holds what the log says is proved, and
// nothing that is pending.
func (c *crew) mustUse(id fleet.NodeID) {
	c.Helper()
	var at uint64
	c.view.Read(func(s *projection.State) {
		if n, _ := s.Node(id); n.Proved != nil {
			at = n.Proved.Sequence
		}
	})
	issued, err := eventlog.IssuedAt(c.ctx, c.bus.Log(), at)
	if err != nil {
		c.Fatal(err)
	}
	want := issued.CertificatePEM
	have, err := os.ReadFile(filepath.Join(c.dir, string(id), agent.CertificateFile))
	if err != nil || want == "" || string(have) != want {
		c.Errorf("%s does not use what it has proved (%v)", id, err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, string(id), agent.PendingFile)); !errors.Is(err, os.ErrNotExist) {
		c.Errorf("%s still holds a pending credential: %v", id, err)
	}
}
