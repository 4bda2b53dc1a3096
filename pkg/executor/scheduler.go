package executor

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// held is a delivery that has not ended.
type held struct {
	seq     uint64
	event   *events.Event
	request *events.ActionRequested
	// delivery is the newest one of this action: an older one may be superseded.
	delivery atomic.Pointer[eventlog.Delivery]
	// settled is set when the delivery was acknowledged or given back.
	settled atomic.Bool

	// The loop's: whether it takes a slot, the plan, once the fold has told, and
	// where the outcome was stored.
	slot   bool
	plan   fleet.PlanID
	stored uint64

	// What follows is the worker's, of which there is one at a time. The first turn
	// began at began, and until is when the time for all is over. stands is the last
	// sequence where the outcome belongs, as far as a lost race has shown it.
	began, until time.Time
	stands       uint64
	// whole is when the fold was last known to be, as the worker started. again says
	// that this does not do: it was handed out before, or a race was lost.
	whole time.Time
	again bool
}

// note is what a worker tells the loop of its action.
type note struct {
	held   *held
	what   turn
	stored uint64
}

type turn int

const (
	handlerEnded turn = iota // the outcome is on its way
	actionEnded              // nothing is left to do but to acknowledge
	raceLost                 // to be decided again
)

// scheduler decides which of the held deliveries starts when. All its fields
// belong to the goroutine of loop.
type scheduler struct {
	*Executor
	held     map[uint64]*held // by sequence
	waiting  []*held          // those that have not started, by sequence
	busy     map[fleet.NodeID]*held
	unread   []*held   // those that have ended, and the fold has not seen it
	whole    time.Time // when the fold was last known to be
	free     int       // slots
	arrivals chan eventlog.Delivery
	notes    chan note
	workers  sync.WaitGroup
}

func newScheduler(e *Executor) *scheduler {
	return &scheduler{
		Executor: e, free: e.Concurrency, held: make(map[uint64]*held), busy: make(map[fleet.NodeID]*held),
		arrivals: make(chan eventlog.Delivery, e.Concurrency), notes: make(chan note, e.Concurrency),
	}
}

func (s *scheduler) loop(ctx context.Context, lost <-chan error) error {
	beat := time.NewTicker(max(s.AckWait/3, time.Millisecond))
	defer beat.Stop()
	for {
		changed := s.View.Changed() // taken before looking, so that no fold is missed
		s.startReady(ctx)
		select {
		case <-ctx.Done():
			return nil
		case err := <-lost:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case d := <-s.arrivals:
			s.hold(ctx, d)
		case n := <-s.notes:
			s.take(n)
		case <-beat.C:
			s.askForTime()
		case <-changed:
		}
		s.drain(ctx)
	}
}

// drain takes what else has come: looking at all that waits costs more than that.
func (s *scheduler) drain(ctx context.Context) {
	for {
		select {
		case d := <-s.arrivals:
			s.hold(ctx, d)
		case n := <-s.notes:
			s.take(n)
		default:
			return
		}
	}
}

// hold files a delivery. One that is held already was handed out again while
// its first run still works; only its acknowledgement is new.
func (s *scheduler) hold(ctx context.Context, d eventlog.Delivery) {
	if h := s.held[d.Record.Sequence]; h != nil {
		h.delivery.Store(&d)
		return
	}
	h := &held{seq: d.Record.Sequence, event: d.Record.Event, again: d.Again}
	h.delivery.Store(&d)
	request, misfit := requestOf(d.Record)
	if misfit != "" {
		s.workers.Go(func() { s.park(ctx, h, misfit) })
		return
	}
	h.request = request
	s.held[h.seq] = h
	s.wait(h)
}

// wait files a delivery among those that are to start.
func (s *scheduler) wait(h *held) {
	at, _ := slices.BinarySearchFunc(s.waiting, h.seq, func(h *held, seq uint64) int {
		return cmp.Compare(h.seq, seq)
	})
	s.waiting = slices.Insert(s.waiting, at, h)
}

// requestOf reads an action from its record, or says why it is none.
func requestOf(r eventlog.Record) (request *events.ActionRequested, misfit string) {
	if r.Event == nil {
		if r.Err != nil {
			return nil, r.Err.Error()
		}
		return nil, "the message is not an event"
	}
	request, ok := r.Event.Data.(*events.ActionRequested)
	switch {
	case !ok || !r.Event.Type.IsAction():
		return nil, "events of type " + string(r.Event.Type) + " are not actions"
	case events.TypeOfAction(request.Type) != r.Event.Type:
		return nil, "the data asks for " + string(request.Type) + ", the event for " + string(r.Event.Type)
	}
	return request, ""
}

// startReady starts what may start, in the order of the log.
func (s *scheduler) startReady(ctx context.Context) {
	if s.free == 0 || len(s.waiting) == 0 {
		return
	}
	var ready []*held
	last, at := s.heard.get()
	s.View.Read(func(state *projection.State) {
		if state.Sequence() >= last {
			s.whole = at
		}
		s.forget(state.Sequence())
		ready = s.ready(state)
	})
	for _, h := range ready {
		s.start(ctx, h)
	}
}

// forget lets go the nodes whose last action the fold has seen the end of.
func (s *scheduler) forget(folded uint64) {
	s.unread = slices.DeleteFunc(s.unread, func(h *held) bool {
		if h.stored > folded {
			return false
		}
		delete(s.busy, h.request.ID)
		return true
	})
}

// ready are those of the waiting that may start on this fold, in the order of the
// log. They wait no longer.
func (s *scheduler) ready(state *projection.State) (ready []*held) {
	phases := phases{ledger: state.Ledger()}
	behind := make(map[fleet.NodeID]bool) // nodes of which one waits on
	left := s.waiting[:0]
	for i, h := range s.waiting {
		if len(ready) == s.free || h.seq > state.Sequence() || s.Concurrency == 1 && len(left) > 0 {
			left = append(left, s.waiting[i:]...)
			break
		}
		id := h.request.ID
		if s.busy[id] != nil || behind[id] || phases.bar(h) {
			behind[id] = true // two actions of one node keep their order even when both wait
			left = append(left, h)
			continue
		}
		s.busy[id] = h
		ready = append(ready, h)
	}
	clear(s.waiting[len(left):])
	s.waiting = left
	return ready
}

// phases says which actions must wait for an earlier phase of their own plan.
type phases struct {
	ledger   *projection.Ledger
	earliest map[fleet.PlanID]fleet.Phase
}

func (p *phases) bar(h *held) bool {
	if h.plan == "" {
		f, ok := p.ledger.Flight(h.request.Action)
		if !ok {
			return false // it is over, or was never counted
		}
		h.plan = f.Plan
	}
	earliest, known := p.earliest[h.plan]
	if !known {
		if p.earliest == nil {
			p.earliest = make(map[fleet.PlanID]fleet.Phase)
		}
		earliest, _ = p.ledger.EarliestPhase(h.plan)
		p.earliest[h.plan] = earliest
	}
	return earliest != 0 && earliest < h.request.Type.Phase()
}

func (s *scheduler) start(ctx context.Context, h *held) {
	h.slot, h.whole = true, s.whole
	s.free--
	s.workers.Go(func() { s.work(ctx, h) })
}

// tell is for workers.
func (s *scheduler) tell(ctx context.Context, n note) {
	select {
	case s.notes <- n:
	case <-ctx.Done():
	}
}

func (s *scheduler) take(n note) {
	h := n.held
	if h.slot {
		h.slot = false
		s.free++
	}
	switch n.what {
	case actionEnded:
		h.stored = n.stored
		s.unread = append(s.unread, h)
		delete(s.held, h.seq)
	case raceLost:
		delete(s.busy, h.request.ID)
		s.wait(h)
	}
}

// askForTime keeps every held delivery ours, also those that only wait.
func (s *scheduler) askForTime() {
	for _, h := range s.held {
		if h.settled.Load() {
			continue
		}
		if err := h.delivery.Load().InProgress(); err != nil {
			// Another executor may take the action up meanwhile; the outcome's
			// fence keeps it at one outcome.
			s.Logger.Debug().Err(err).Str(field.Action, string(h.request.Action)).Msg("could not ask for more time")
		}
	}
}

// giveBack lets the next executor have at once what was not finished.
func (s *scheduler) giveBack() {
	for len(s.arrivals) > 0 {
		d := <-s.arrivals
		_ = d.Retry(0)
	}
	for _, h := range s.held {
		if !h.settled.Load() {
			_ = h.delivery.Load().Retry(0) // without it, the server hands out again after AckWait
		}
	}
}
