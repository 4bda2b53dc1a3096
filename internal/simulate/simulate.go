package simulate

import (
	"container/heap"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Simulation is a running simulation. Make it with New.
type Simulation struct {
	Config
	secret [32]byte // of the keys
	run    string   // begins every session, so that no two runs share one

	mu sync.Mutex // guards what follows
	schedule
	renewals renewals
	bundle   string // as heartbeats name it
	texts    texts
	pace     events.Pace

	account account
	began   time.Time // zero before Run
	beats   *eventlog.Beats
	halted  atomic.Bool
	reached chan struct{} // closed when every node was acknowledged once
}

// New checks the configuration and makes the nodes.
func New(c Config) (*Simulation, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("check simulation: %w", err)
	}
	s := &Simulation{Config: c.withDefaults(), run: strings.ToLower(rand.Text()[:8]), reached: make(chan struct{}), texts: make(texts)}
	if _, err := rand.Read(s.secret[:]); err != nil {
		return nil, fmt.Errorf("draw a secret: %w", err)
	}
	s.nodes = make([]node, s.Nodes)
	s.order = make([]int32, s.Nodes)
	for i := range s.order {
		s.order[i] = int32(i)
	}
	return s, nil
}

// ID of node i.
func (c Config) ID(i int) fleet.NodeID {
	digits := strconv.Itoa(i)
	name := c.Name
	if name == "" {
		name = DefaultName
	}
	return fleet.NodeID(name + "0000000"[min(len(digits), 7):] + digits)
}

// index is the inverse of ID; false for whoever is none of ours.
func (s *Simulation) index(id fleet.NodeID) (int, bool) {
	digits, ours := strings.CutPrefix(string(id), s.Name)
	i, err := strconv.Atoi(digits)
	if !ours || err != nil || i < 0 || i >= len(s.nodes) || s.ID(i) != id {
		return 0, false
	}
	return i, true
}

// Run plays until ctx ends or the bus is lost for good. The end is no error.
func (s *Simulation) Run(ctx context.Context) (Summary, error) {
	beats, err := s.Bus.Beats(s.InFlight, s.acknowledged)
	if err != nil {
		return Summary{}, err
	}
	defer beats.Close()
	s.mu.Lock() // whoever asks how far it is may do so already
	s.beats, s.began = beats, time.Now()
	s.plan(s.began.UnixNano())
	s.mu.Unlock()
	cursor, err := s.openLog(ctx) // before the first heartbeat
	if err != nil {
		return Summary{}, err
	}
	defer cursor.Close()
	stop, err := s.serve(ctx)
	if err != nil {
		return Summary{}, err
	}
	defer stop()
	playing, cancel := context.WithCancel(ctx)
	defer cancel()
	g, playing := errgroup.WithContext(playing)
	g.Go(func() error { return s.play(playing) })
	g.Go(func() error { return s.followLog(playing, cursor) })
	g.Go(func() error { return s.followTrust(playing) })
	g.Go(func() error { s.watch(playing); return nil })
	if !s.PresenceOnly {
		g.Go(func() error { return s.renew(playing) })
	}
	err = g.Wait()
	if ctx.Err() != nil {
		err = nil
	}
	if leaving := s.leave(context.WithoutCancel(ctx)); err == nil {
		err = leaving
	}
	return s.Summary(), err
}

// Halt lets no node say anything more, not even farewell: as if all were cut off.
func (s *Simulation) Halt() { s.halted.Store(true) }

// Reached is closed once a heartbeat of every node was acknowledged.
func (s *Simulation) Reached() <-chan struct{} { return s.reached }

// plan spreads the births.
func (s *Simulation) plan(start int64) {
	for i := range s.nodes {
		at := start + int64(s.draw(drawBirth, i, 0)*float64(s.Ramp))
		s.nodes[i].due = at
		s.begin(i, at)
	}
	heap.Init(&s.schedule)
}

// play sends what is due until ctx ends.
func (s *Simulation) play(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.mu.Lock()
		next := s.next()
		s.mu.Unlock()
		if wait := next - time.Now().UnixNano(); wait > 0 {
			timer.Reset(time.Duration(min(wait, int64(time.Second))))
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			continue
		}
		if err := s.act(ctx); err != nil && ctx.Err() == nil && !s.survives(err) {
			return err
		}
	}
	return nil
}

// survives says whether the next heartbeat may fare better.
func (s *Simulation) survives(err error) bool {
	s.account.failed.Add(1)
	if s.account.complained.CompareAndSwap(false, true) {
		s.Logger.Warn().Err(err).Msg("a heartbeat could not be sent")
	}
	return !errors.Is(err, context.Canceled)
}

// act does what is due first: a heartbeat, a death or a return.
func (s *Simulation) act(ctx context.Context) error {
	s.mu.Lock()
	i := int(s.order[0])
	n := &s.nodes[i]
	switch {
	case n.gone || s.halted.Load():
		s.settle(false)
		s.mu.Unlock()
		return nil
	case n.down:
		s.begin(i, n.due)
		s.account.returned.Add(1)
	case n.dies <= n.due:
		n.down = true
		n.due = n.dies + exponential(s.Away, s.draw(drawAway, i, n.life))
		s.settle(true)
		s.account.died.Add(1)
		s.mu.Unlock()
		return nil
	}
	interval, lease := s.rhythm()
	now := time.Now()
	if behind := now.UnixNano() - n.due; behind > int64(interval) {
		n.due = now.UnixNano()
		s.account.late.Add(1)
	}
	cut := s.Jitter * s.draw(drawJitter, i, n.said+n.life<<20)
	n.due += int64((1 - cut) * float64(interval))
	n.said++
	beat := s.speaker(i, n).Heartbeat(lease, s.holding(n), false)
	s.settle(true)
	s.mu.Unlock()
	s.account.sent.Add(1)
	return s.beats.Send(ctx, beat, lease, tagOf(i, now.Sub(s.began), lease))
}

// rhythm is the interval and the lease that count now. mu is held.
func (s *Simulation) rhythm() (interval, lease time.Duration) {
	return s.pace.Slow(s.Interval, s.Lease, agent.MaxLease)
}

// A tag tells of a heartbeat: whose, when it was sent, and its lease.
const (
	tagNodeShift = 40
	tagLeaseBits = 12
	tagTimeBits  = tagNodeShift - tagLeaseBits // milliseconds: three days
)

func tagOf(i int, since, lease time.Duration) uint64 {
	return uint64(i)<<tagNodeShift | uint64(since.Milliseconds())&(1<<tagTimeBits-1)<<tagLeaseBits | uint64(lease/time.Second)
}

// acknowledged notes what became of a heartbeat.
func (s *Simulation) acknowledged(tag uint64, err error) {
	if err != nil {
		s.survives(err)
		return
	}
	lease := time.Duration(tag&(1<<tagLeaseBits-1)) * time.Second
	if lease == 0 { // a farewell
		return
	}
	ago := (uint64(time.Since(s.began).Milliseconds()) - tag>>tagLeaseBits) & (1<<tagTimeBits - 1)
	until := time.Now().Add(lease - time.Duration(ago)*time.Millisecond).UnixNano()
	s.mu.Lock()
	n := &s.nodes[tag>>tagNodeShift]
	first := n.until == 0
	if sent := until - int64(lease); sent > n.until { // it was away longer than its lease
		n.since = sent
	}
	n.until = max(n.until, until)
	s.mu.Unlock()
	s.account.acknowledged.Add(1)
	if first && s.account.present.Add(1) == uint64(len(s.nodes)) {
		close(s.reached)
	}
}

// farewellTime bounds the farewells of all: who cannot say it is called lost.
const farewellTime = 30 * time.Second

// leave says farewell for everybody who lives.
func (s *Simulation) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, farewellTime)
	defer cancel()
	if s.Vanish || s.halted.Load() {
		return s.beats.Idle(ctx)
	}
	for i := range s.nodes {
		s.mu.Lock()
		n := &s.nodes[i]
		if n.down || n.gone || n.until == 0 {
			s.mu.Unlock()
			continue
		}
		_, lease := s.rhythm()
		n.said++
		beat := s.speaker(i, n).Heartbeat(lease, agent.Holding{}, true)
		n.until = 0 // it may be called lost or gone from here on
		s.mu.Unlock()
		if err := s.beats.Send(ctx, beat, lease, tagOf(i, 0, 0)); err != nil {
			return fmt.Errorf("say farewell: %w", err)
		}
	}
	return s.beats.Idle(ctx)
}
