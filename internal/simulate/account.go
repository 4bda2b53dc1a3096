package simulate

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// account counts, for several goroutines.
type account struct {
	sent, acknowledged, failed, late   atomic.Uint64
	died, returned                     atomic.Uint64
	appeared, lost, left, falselyLost  atomic.Uint64
	proved, renewed, commands, refused atomic.Uint64
	actions                            atomic.Uint64
	present                            atomic.Uint64 // nodes with an acknowledged heartbeat
	complained                         atomic.Bool
}

// Summary is what has happened so far.
type Summary struct {
	Nodes   int     `json:"nodes"`
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
	// IntervalSeconds and LeaseSeconds of the heartbeats now: those that were
	// asked for, or those that the fleet has set.
	IntervalSeconds float64 `json:"interval_seconds"`
	LeaseSeconds    float64 `json:"lease_seconds"`
	// Heartbeats that were sent, that the server has stored, and that failed;
	// Late are those that were due more than an interval before.
	Sent         uint64 `json:"heartbeats_sent"`
	Acknowledged uint64 `json:"heartbeats_acknowledged"`
	Failed       uint64 `json:"heartbeats_failed"`
	Late         uint64 `json:"heartbeats_late"`
	// PerSecond is of the acknowledged ones, on average.
	PerSecond float64 `json:"heartbeats_per_second"`
	// Died and Returned are what the schedule did.
	Died     uint64 `json:"died"`
	Returned uint64 `json:"returned"`
	// What the log says of these nodes since the start.
	Appeared uint64 `json:"log_appeared"`
	Lost     uint64 `json:"log_lost"`
	Left     uint64 `json:"log_left"`
	Proved   uint64 `json:"log_proved"`
	Actions  uint64 `json:"log_actions"`
	// FalseLosses are nodes that the log called lost though acknowledged heartbeats
	// had kept their lease running, without a gap and for longer than one lease.
	FalseLosses uint64 `json:"false_losses"`
	// Commands that were answered, of them Refused with an error, and credentials
	// Renewed at the node's request.
	Commands uint64 `json:"commands"`
	Refused  uint64 `json:"commands_refused"`
	Renewed  uint64 `json:"renewed"`
}

// Summary may be called from any goroutine.
func (s *Simulation) Summary() Summary {
	s.mu.Lock()
	interval, lease := s.rhythm()
	var seconds float64
	if !s.began.IsZero() {
		seconds = time.Since(s.began).Seconds()
	}
	s.mu.Unlock()
	a := &s.account
	sum := Summary{
		Nodes: len(s.nodes), Seed: s.Seed, Seconds: seconds,
		IntervalSeconds: interval.Seconds(), LeaseSeconds: lease.Seconds(),
		Sent: a.sent.Load(), Acknowledged: a.acknowledged.Load(), Failed: a.failed.Load(), Late: a.late.Load(),
		Died: a.died.Load(), Returned: a.returned.Load(),
		Appeared: a.appeared.Load(), Lost: a.lost.Load(), Left: a.left.Load(), Proved: a.proved.Load(), Actions: a.actions.Load(),
		FalseLosses: a.falselyLost.Load(), Commands: a.commands.Load(), Refused: a.refused.Load(), Renewed: a.renewed.Load(),
	}
	if sum.Seconds > 0 {
		sum.PerSecond = float64(sum.Acknowledged) / sum.Seconds
	}
	return sum
}

// watch tells once a second how far it is.
func (s *Simulation) watch(ctx context.Context) {
	if s.Observe == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Observe(s.Summary())
		case <-ctx.Done():
			return
		}
	}
}

// openLog follows the log from its present end.
func (s *Simulation) openLog(ctx context.Context) (eventlog.Cursor, error) {
	log := s.Bus.Log()
	last, err := log.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the end of the log: %w", err)
	}
	cursor, err := log.Follow(ctx, last)
	if err != nil {
		return nil, fmt.Errorf("follow the log: %w", err)
	}
	return cursor, nil
}

// followLog counts what the log says.
func (s *Simulation) followLog(ctx context.Context, cursor eventlog.Cursor) error {
	for {
		records, err := cursor.Next(ctx)
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		for _, r := range records {
			if r.Event != nil {
				s.note(r)
			}
		}
	}
}

func (s *Simulation) note(r eventlog.Record) {
	i, ours := s.index(r.Event.Node)
	if !ours {
		return
	}
	switch a := &s.account; {
	case r.Event.Type == events.TypeNodeAppeared:
		a.appeared.Add(1)
	case r.Event.Type == events.TypeNodeLeft:
		a.left.Add(1)
	case r.Event.Type == events.TypeCredentialProved:
		a.proved.Add(1)
	case r.Event.Type.IsAction():
		a.actions.Add(1)
	case r.Event.Type == events.TypeNodeLost:
		a.lost.Add(1)
		s.mu.Lock()
		_, lease := s.rhythm()
		since, until := s.nodes[i].since, s.nodes[i].until
		s.mu.Unlock()
		// Who is back a moment after its lease ended was lost all the same.
		if at := r.Time.UnixNano(); at < until && at-since > int64(lease) {
			a.falselyLost.Add(1)
			s.Logger.Warn().Str(field.Node, string(r.Event.Node)).Uint64(field.Seq, r.Sequence).Msg("a node was called lost whose lease runs")
		}
	}
}
