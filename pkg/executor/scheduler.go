package executor

import (
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
	running bool
	// delivery is the newest one of this action: an older one may be superseded.
	delivery atomic.Pointer[eventlog.Delivery]
	// settled is set when the delivery was acknowledged or given back.
	settled atomic.Bool
}

// scheduler decides which of the held deliveries starts when. All its fields
// belong to the goroutine of loop.
type scheduler struct {
	*Executor
	held     []*held // by sequence
	free     int     // slots
	arrivals chan eventlog.Delivery
	ended    chan *held
	workers  sync.WaitGroup
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
		case h := <-s.ended:
			s.drop(h)
		case <-beat.C:
			s.askForTime()
		case <-changed:
		}
	}
}

// hold files a delivery. One that is held already was handed out again while
// its first run still works; only its acknowledgement is new.
func (s *scheduler) hold(ctx context.Context, d eventlog.Delivery) {
	at, found := slices.BinarySearchFunc(s.held, d.Record.Sequence, func(h *held, seq uint64) int {
		return int(int64(h.seq) - int64(seq))
	})
	if found {
		s.held[at].delivery.Store(&d)
		return
	}
	h := &held{seq: d.Record.Sequence, event: d.Record.Event}
	h.delivery.Store(&d)
	request, misfit := requestOf(d.Record)
	if misfit != "" {
		s.workers.Go(func() { s.park(ctx, h, misfit) })
		return
	}
	h.request = request
	s.held = slices.Insert(s.held, at, h)
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
	if s.free == 0 || len(s.held) == 0 {
		return
	}
	folded, barred := s.barriers()
	busy := make(map[fleet.NodeID]bool, len(s.held))
	for _, h := range s.held {
		if h.running {
			busy[h.request.ID] = true
		}
	}
	for _, h := range s.held {
		if h.running {
			continue
		}
		if s.free == 0 || h.seq > folded {
			return
		}
		if barred[h] || busy[h.request.ID] {
			if s.Concurrency == 1 {
				return
			}
			// Two actions of one node keep their order even when both wait.
			busy[h.request.ID] = true
			continue
		}
		busy[h.request.ID] = true
		s.start(ctx, h)
	}
}

// barriers says how far the fold has come and which of the held must wait for
// an earlier phase of their own plan.
func (s *scheduler) barriers() (folded uint64, barred map[*held]bool) {
	barred = make(map[*held]bool)
	s.View.Read(func(state *projection.State) {
		folded = state.Sequence()
		for _, h := range s.held {
			if h.running {
				continue
			}
			if f, ok := state.Ledger().Flight(h.request.Action); ok {
				earliest, _ := state.Ledger().EarliestPhase(f.Plan)
				barred[h] = earliest < f.Action.Type.Phase()
			}
		}
	})
	return folded, barred
}

func (s *scheduler) start(ctx context.Context, h *held) {
	h.running = true
	s.free--
	s.workers.Go(func() {
		s.work(ctx, h)
		select {
		case s.ended <- h:
		case <-ctx.Done():
		}
	})
}

func (s *scheduler) drop(h *held) {
	s.free++
	s.held = slices.DeleteFunc(s.held, func(other *held) bool { return other == h })
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
	for _, h := range s.held {
		if !h.settled.Load() {
			_ = h.delivery.Load().Retry(0) // without it, the server hands out again after AckWait
		}
	}
}
