package simulate

import (
	"container/heap"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

const (
	// renewWorkers are the renewals that are under way side by side.
	renewWorkers = 16
	// renewTime bounds one request; another executor may take the next.
	renewTime = 10 * time.Second
	// confirmWait is how long a proof may take to be confirmed unasked.
	confirmWait = 5 * time.Second
	// renewLook is how often it is looked for whose time has come.
	renewLook = 250 * time.Millisecond
	// longestRenewWait bounds the wait between two requests of a node.
	longestRenewWait = time.Minute
)

// renewal is when a node has to look at its credential.
type renewal struct {
	at   int64
	node int32
}

// renewals is a heap, the earliest first. One that no longer matters only causes
// one look.
type renewals []renewal

func (r renewals) Len() int           { return len(r) }
func (r renewals) Less(i, j int) bool { return r[i].at < r[j].at }
func (r renewals) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *renewals) Push(x any)        { *r = append(*r, x.(renewal)) }
func (r *renewals) Pop() any {
	old := *r
	last := old[len(old)-1]
	*r = old[:len(old)-1]
	return last
}

func (r *renewals) add(i int, at time.Time) { heap.Push(r, renewal{at.UnixNano(), int32(i)}) }

// due takes those whose time has come, at most some.
func (r *renewals) due(now int64, some int) (nodes []int) {
	for len(*r) > 0 && (*r)[0].at <= now && len(nodes) < some {
		nodes = append(nodes, int(heap.Pop(r).(renewal).node))
	}
	return nodes
}

// renew renews credentials in their time until ctx ends.
func (s *Simulation) renew(ctx context.Context) error {
	tick := time.NewTicker(renewLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		for {
			s.mu.Lock()
			nodes := s.renewals.due(time.Now().UnixNano(), 4*renewWorkers)
			s.mu.Unlock()
			if len(nodes) == 0 {
				break
			}
			var g errgroup.Group
			g.SetLimit(renewWorkers)
			for _, i := range nodes {
				g.Go(func() error { s.renewNode(ctx, i); return nil })
			}
			_ = g.Wait() // none fails
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
}

// renewNode asks once, and plans when to ask again.
func (s *Simulation) renewNode(ctx context.Context, i int) {
	s.mu.Lock()
	n := &s.nodes[i]
	c, down, gone := n.credential, n.down, n.gone
	s.mu.Unlock()
	if c == nil || gone || s.halted.Load() {
		return
	}
	if down { // it looks when it is back
		s.again(i, confirmWait)
		return
	}
	c.talk.Lock()
	defer c.talk.Unlock()
	s.mu.Lock()
	held, pending, rotating := c.held, c.pending, c.rotating
	due := held != nil && (pending != nil || rotating || !time.Now().Before(agent.RenewalDue(held, 0)))
	s.mu.Unlock()
	if !due {
		return
	}
	if err := s.ask(ctx, i, c, held, pending); err != nil {
		s.Logger.Debug().Err(err).Str(field.Node, string(s.ID(i))).Msg("credential is not renewed yet, trying again")
		c.failures++
		s.again(i, min(time.Second<<min(c.failures, 6), longestRenewWait))
		return
	}
	c.failures = 0
	s.mu.Lock()
	waits := c.pending != nil
	s.mu.Unlock()
	if waits {
		s.again(i, confirmWait)
	}
}

func (s *Simulation) again(i int, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewals.add(i, time.Now().Add(wait))
}

// ask sends the node's request and does what the answer says. c.talk is held.
func (s *Simulation) ask(ctx context.Context, i int, c *credential, held, pending *events.CredentialDelivered) error {
	speaker, err := s.signer(i)
	if err != nil {
		return err
	}
	request, err := speaker.RenewalRequest(held, pending)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	answer, err := s.Bus.Request(limited, s.ID(i), request)
	if err != nil {
		return err
	}
	switch d := answer.Data.(type) {
	case *events.CredentialDelivered:
		if err := speaker.Check(d); err != nil {
			return fmt.Errorf("check renewed credential: %w", err)
		}
		s.hold(i, c, held, d)
		// The heartbeat that names it goes first, as with any agent.
		if err := s.beatNow(ctx, i); err != nil {
			return err
		}
		return s.prove(ctx, speaker, d)
	case *events.CredentialConfirmed:
		return s.confirm(i, c, d.Serial)
	case *events.CommandAnswered:
		return fmt.Errorf("refused: %s: %s", d.Reason, d.Error)
	}
	return fmt.Errorf("the answer is %s", answer.Type)
}

// rotate lets the node renew the credential with that serial now.
func (s *Simulation) rotate(i int, c *credential, serial string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.held != nil && c.held.Serial == serial {
		c.rotating = true
		s.renewals.add(i, time.Now())
	}
}

// followTrust takes the newest trust bundle and pace for all nodes.
func (s *Simulation) followTrust(ctx context.Context) error {
	return s.Bus.Trusted(ctx, func(t eventlog.TrustText) {
		var err error
		s.mu.Lock()
		defer s.mu.Unlock()
		switch t.Kind {
		case eventlog.TrustPace:
			var pace events.Pace
			if pace, err = events.ParsePace(t.Text); err == nil {
				s.pace = pace
			}
		case eventlog.TrustBundle:
			var digest string
			if digest, err = agent.BundleDigestOf(t.Text); err == nil {
				s.bundle = digest
			}
		}
		if err != nil {
			s.Logger.Warn().Err(err).Msg("text of the trust stream not taken")
		}
	})
}
