package planner

import (
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// tellStuck shows which needs are stuck: in the metrics as they are, in the log
// when one becomes stuck and when it no longer is, however often it fails
// between the two.
func (p *Planner) tellStuck(d decision) {
	now := make(map[fleet.Action]bool, len(d.Stuck))
	byType := make(map[fleet.ActionType]int)
	for _, s := range d.Stuck {
		now[s.Action] = true
		byType[s.Type]++
		if p.stuck[s.Action] {
			continue
		}
		p.stuck[s.Action] = true
		line := p.Logger.Warn().Str(field.ActionType, string(s.Type)).Str(field.Node, string(s.ID)).
			Int(field.Failures, s.Failures).Str(field.Why, s.LastError)
		if !s.NextAttempt.IsZero() {
			line.Time(field.Next, s.NextAttempt.UTC())
		}
		line.Msg("action is stuck, trying on")
	}
	p.Metrics.stall(byType)
	for need := range p.stuck {
		if !now[need] && !p.underWay(need) {
			delete(p.stuck, need)
			p.Logger.Info().Str(field.ActionType, string(need.Type)).Str(field.Node, string(need.ID)).
				Uint64(field.Basis, d.basis).Msg("action is no longer stuck")
		}
	}
}

// underWay says that the need is in flight: a node that appears in the middle of
// its enrolment is not wanted to enroll for a moment, and may yet fail to.
func (p *Planner) underWay(need fleet.Action) (busy bool) {
	p.View.Read(func(st *projection.State) {
		_, kind, flying := st.Ledger().InFlight(need.ID)
		busy = flying && kind == need.Type
	})
	return busy
}
