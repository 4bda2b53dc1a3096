package handlers

import (
	"context"
	"errors"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

const (
	// rotateLook is how often rotations are looked at while none can go on.
	rotateLook = time.Second
	// askAgain is how long a node that was asked has time to renew.
	askAgain = time.Minute
	// roundsPerSecond is into how many rounds a fast rotation is cut.
	roundsPerSecond = 10
)

// rotator remembers whom this executor has asked. All else is on the log, so
// that a restart, or another executor, goes on where it is.
type rotator struct {
	asked map[fleet.NodeID]asked
	// rounds is when this executor last asked for a rotation, by its sequence.
	rounds map[uint64]time.Time
}

// asked is what a node was asked to renew, and when.
type asked struct {
	serial string
	at     time.Time
}

// rotateOn asks the nodes of rotations to renew, until ctx ends.
func (r *Renewer) rotateOn(ctx context.Context) {
	m := rotator{asked: make(map[fleet.NodeID]asked), rounds: make(map[uint64]time.Time)}
	for r.awaitRotation(ctx) {
		ask, wait, err := r.nextRound(ctx, &m)
		if err != nil && ctx.Err() == nil {
			r.Logger.Warn().Err(err).Msg("could not look at rotations, trying again")
		}
		for _, e := range ask {
			r.work.Go(func() { r.ask(ctx, e) })
		}
		pause(ctx, wait)
	}
}

// awaitRotation returns when a rotation was ever asked for; false: ctx has ended.
func (r *Renewer) awaitRotation(ctx context.Context) bool {
	for {
		changed, asked := r.View.Changed(), false
		r.View.Read(func(s *projection.State) { asked = len(s.Rotations()) > 0 })
		if asked || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// ask sends one request to renew. It is not repeated before askAgain is over,
// and the log says whether it was followed.
func (r *Renewer) ask(ctx context.Context, e *events.Event) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	answer, err := command(ctx, r.Commands, e)
	if err == nil && answer.Error != "" {
		err = errors.New(answer.Error)
	}
	if err != nil && ctx.Err() == nil {
		r.Logger.Warn().Err(err).Str(field.Node, string(e.Node)).Msg("node not asked to renew, trying again later")
	}
}

// nextRound is whom to ask now, and when to look again.
func (r *Renewer) nextRound(ctx context.Context, m *rotator) (ask []*events.Event, wait time.Duration, err error) {
	var digest string
	r.View.Read(func(s *projection.State) { digest = s.Inventory().Digest })
	if digest == "" {
		return nil, rotateLook, nil
	}
	inventory, err := r.Inventories.Get(ctx, digest)
	if err != nil {
		return nil, rotateLook, err
	}
	wait = rotateLook
	now := r.Now()
	r.View.Read(func(s *projection.State) {
		for rotation, due := range m.due(s, inventory, now) {
			next := m.nextAt(s, inventory, rotation)
			if now.Before(next) {
				wait = min(wait, next.Sub(now))
				continue
			}
			due = due[:min(len(due), roundSize(rotation.RatePerSecond))]
			for _, n := range due {
				ask = append(ask, r.tellNode(n.id, events.TypeCredentialRotationRequested,
					&events.CredentialRotationRequested{Serial: n.serial}, n.serial, now.String()))
				m.asked[n.id] = asked{n.serial, now}
			}
			m.rounds[rotation.Sequence] = now
			wait = min(wait, roundTime(rotation.RatePerSecond))
		}
	})
	return ask, wait, nil
}

// roundSize and roundTime make the rate: one node at a time, or of a fast
// rotation some in each tenth of a second.
func roundSize(rate float64) int { return max(1, int(rate/roundsPerSecond)) }

func roundTime(rate float64) time.Duration {
	return time.Duration(float64(roundSize(rate)) / rate * float64(time.Second))
}

type dueNode struct {
	id     fleet.NodeID
	serial string // of what is to be renewed
}

// due lists, by rotation and in the order of the inventory, the nodes that may
// be asked now: those that are there, not paused, and not asked a moment ago.
func (m *rotator) due(s *projection.State, inventory *fleet.Inventory, now time.Time) map[projection.Rotation][]dueNode {
	list := make(map[projection.Rotation][]dueNode)
	for _, region := range inventory.Regions {
		for i := range region.Nodes {
			id := region.Nodes[i].ID
			rotation, isDue := s.RotationDue(id, region.Name)
			if !isDue {
				delete(m.asked, id)
				continue
			}
			n, _ := s.Node(id)
			underWay := n.Issued != nil && n.Issued.Sequence > rotation.Sequence && now.Sub(n.Issued.IssuedAt) < askAgain
			before := m.asked[id]
			wasAsked := before.serial == n.Proved.Serial && now.Sub(before.at) < askAgain
			if n.Present && !underWay && !wasAsked && !paused(s, region.Name, id) {
				list[rotation] = append(list[rotation], dueNode{id, n.Proved.Serial})
			}
		}
	}
	return list
}

// paused says that a person wants nothing begun for the node.
func paused(s *projection.State, region string, id fleet.NodeID) bool {
	for _, t := range [...]fleet.Target{
		{Scope: fleet.ScopeFleet}, {Scope: fleet.ScopeRegion, Region: region}, {Scope: fleet.ScopeNode, ID: id},
	} {
		if _, is := s.Paused(t); is {
			return true
		}
	}
	return false
}

// nextAt is when the next round of a rotation may begin. What was issued to its
// nodes meanwhile counts, whoever asked for it: so several executors keep to one
// rate, and a restart does not begin with a burst.
func (m *rotator) nextAt(s *projection.State, inventory *fleet.Inventory, rotation projection.Rotation) time.Time {
	last := m.rounds[rotation.Sequence]
	for _, region := range inventory.Regions {
		for i := range region.Nodes {
			if !rotation.Covers(region.Name, region.Nodes[i].ID) {
				continue
			}
			n, _ := s.Node(region.Nodes[i].ID)
			if n.Issued != nil && n.Issued.Sequence > rotation.Sequence && n.Issued.IssuedAt.After(last) {
				last = n.Issued.IssuedAt
			}
		}
	}
	return last.Add(roundTime(rotation.RatePerSecond))
}
