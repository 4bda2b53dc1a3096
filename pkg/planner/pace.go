package planner

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Bounds of Config.HeartbeatRate, in heartbeats a second of all nodes together.
const (
	DefaultHeartbeatRate = 50_000
	MaxHeartbeatRate     = 10_000_000
)

// Paces is where nodes are told how often to send heartbeats; eventlog.Bus offers it.
type Paces interface {
	// Pace is the newest; the zero Pace for none.
	Pace(ctx context.Context) (events.Pace, error)
	// PublishPace publishes one unless one of the same or a newer sequence is there.
	PublishPace(ctx context.Context, p events.Pace) (published bool, err error)
}

const (
	// paceLook is how often it is looked whether the pace still fits the fleet.
	paceLook = 5 * time.Second
	// paceSlack is the part of the rate that is left free: nodes shorten their
	// intervals at random by a tenth.
	paceSlack = 0.1
	// paceFloor: a pace that asks for less than this asks for nothing, for every
	// agent's own interval is about as long.
	paceFloor = 2
)

// pacer keeps the heartbeats of the fleet below a rate. It belongs to the
// planner's loop.
type pacer struct {
	now    events.Pace // that nodes can read
	known  bool
	looked time.Time
	// basis of the newest look, and when to look again; zero: nothing has changed.
	basis uint64
	wake  time.Time
	// fell is when the pace last became faster.
	fell time.Time
	// slowest is the longest interval that any node may have: a faster pace may not
	// have reached all.
	slowest time.Duration
}

// lostWait is the safeguard of that name for a fleet at this pace: nodes that are
// cut off together are lost within the time between two heartbeats. Whoever wants
// no wait has none.
func (c *pacer) lostWait(asked time.Duration) time.Duration {
	if asked == 0 {
		return 0
	}
	return max(asked, c.slowest)
}

// paceFor is the interval in seconds at which so many nodes stay below the rate;
// 0 where there is nothing to ask for.
func paceFor(nodes, rate int) int {
	seconds := int(math.Ceil(float64(nodes) / (float64(rate) * (1 - paceSlack))))
	if seconds < paceFloor {
		return 0
	}
	return min(seconds, events.MaxLeaseSeconds/events.PaceLeases)
}

// next is the pace that follows on the present one. Slower is said at once.
// Faster is said only when it is a good deal faster, by no more than half at a
// time, and not before the slower lease has passed: whoever did not hear of it is
// then still heard within the lease that a planner listens for after a start.
func (c *pacer) next(want int, at time.Time) int {
	have := c.now.IntervalSeconds
	switch {
	case want >= have:
		return want
	case 4*want > 3*have || at.Sub(c.fell) < c.now.Lease():
		return have
	case 2*want < have && have > paceFloor:
		return (have + 1) / 2
	}
	return want
}

// keepPace reads the pace that is in force, and publishes another where the fleet
// has grown or shrunk. Until it knows the pace, it does not know for how long to
// listen before anybody can be called lost.
func (p *Planner) keepPace(ctx context.Context) error {
	if p.Paces == nil {
		return nil
	}
	at := p.Now()
	var basis uint64
	p.View.Read(func(st *projection.State) { basis = st.Sequence() })
	p.pacer.wake = time.Time{}
	if p.pacer.known && p.sensor.caughtUp {
		if basis == p.pacer.basis {
			return nil
		}
		if again := p.pacer.looked.Add(paceLook); at.Before(again) {
			p.pacer.wake = again
			return nil
		}
	}
	known := p.pacer.known
	p.pacer.looked, p.pacer.basis = at, basis
	err := p.adjustPace(ctx, at)
	if err != nil && known && ctx.Err() == nil { // facts and plans need not wait for it
		p.Logger.Debug().Err(err).Msg("could not look at the pace of heartbeats, trying again")
		return nil
	}
	return err
}

func (p *Planner) adjustPace(ctx context.Context, at time.Time) error {
	if err := p.readPace(ctx); err != nil {
		return err
	}
	nodes, basis := p.fleetSize(ctx)
	if basis <= p.pacer.now.Sequence {
		return nil
	}
	have := p.pacer.now
	next := events.Pace{IntervalSeconds: p.pacer.next(paceFor(nodes, p.HeartbeatRate), at), Nodes: nodes, Sequence: basis}
	if next.IntervalSeconds == have.IntervalSeconds {
		return nil
	}
	p.listenFor(max(have.Lease(), next.Lease())) // before any node can hear of it
	published, err := p.Paces.PublishPace(ctx, next)
	if err != nil || !published { // another planner did, and it is read next time
		return err
	}
	if next.IntervalSeconds < have.IntervalSeconds {
		p.pacer.fell = at
	}
	p.pacer.now = next
	p.Logger.Info().Int(field.Nodes, nodes).Dur("interval", next.Interval()).Dur(field.Lease, next.Lease()).Msg("told nodes their pace")
	return nil
}

func (p *Planner) readPace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	now, err := p.Paces.Pace(ctx)
	if err != nil {
		return fmt.Errorf("look at the pace of heartbeats: %w", err)
	}
	p.pacer.now, p.pacer.known = now, true
	p.listenFor(now.Lease())
	return nil
}

// listenFor lets the sensor listen for a lease, or for the one that agents ask for
// by themselves if that is longer. It never listens for less than before: who has
// not heard of a shorter lease has the longer one.
func (p *Planner) listenFor(lease time.Duration) {
	p.pacer.slowest = max(p.pacer.slowest, lease/events.PaceLeases)
	p.sensor.listenFor(max(lease, p.Lease))
}

// fleetSize is how many nodes there are or shall be, whichever is more.
func (p *Planner) fleetSize(ctx context.Context) (nodes int, basis uint64) {
	var digest string
	p.View.Read(func(st *projection.State) {
		nodes, _ = st.Observed().Counts()
		digest, basis = st.Inventory().Digest, st.Sequence()
	})
	if digest == "" {
		return nodes, basis
	}
	inv, err := p.Inventories.Get(ctx, digest)
	if err != nil { // whoever decides says so
		return nodes, basis
	}
	return max(nodes, inv.Len()), basis
}

var _ Paces = (*eventlog.Bus)(nil)
