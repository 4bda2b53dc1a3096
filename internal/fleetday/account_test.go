package fleetday

import (
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// beyond the length of a lease an agent that runs may be called lost no more:
// it beats at each third of it, and finds a server that was away within another.
const beyond = 2 * time.Second

// account holds the log of the whole day to what was done in it.
func (d *day) account() {
	d.Helper()
	records := d.witness.log()
	b := &bookkeeper{
		rig: d.rig, state: projection.New(),
		decided: make(map[uint64][]events.ActionRequested), losses: make(map[fleet.NodeID]time.Time),
	}
	for _, r := range records {
		if plan, ok := r.Event.Data.(*events.PlanDecided); ok {
			b.decided[plan.Basis] = append(b.decided[plan.Basis], plan.Actions...)
		}
	}
	counts := make(map[events.Type]int)
	for _, r := range records {
		counts[r.Event.Type]++
		b.record(r)
	}
	// What ended must have begun anew, and a fleet of eight takes a few records
	// for each thing that happens to it.
	if most := 60*d.deeds + 200; len(records) > most {
		d.Errorf("%d records for %d deeds, want %d at most", len(records), d.deeds, most)
	}
	if counts[events.TypeCredentialExpired] == 0 || counts[events.TypeNodeLost] == 0 {
		d.Errorf("no credential ended or no node was lost: the day proves nothing: %v", counts)
	}
	d.Logf("%d deeds, %d records, %v; slowest to converge %s", d.deeds, len(records), counts, d.slowest)
}

// bookkeeper reads the log as it grew.
type bookkeeper struct {
	*rig
	state *projection.State
	// decided are the actions of plans by the sequence they were decided on.
	decided map[uint64][]events.ActionRequested
	// losses are the starts of those lives of agents that the log calls lost.
	losses map[fleet.NodeID]time.Time
}

func (b *bookkeeper) record(r eventlog.Record) {
	b.Helper()
	if r.Event.Type == events.TypeNodeLost {
		b.lost(r)
	}
	if _, err := b.state.Apply(r.Sequence, r.Time, r.Event); err != nil {
		b.Fatal(err)
	}
	for _, a := range b.decided[r.Sequence] {
		if why := b.needless(a); why != "" {
			b.Errorf("decided on sequence %d: %s of %s, attempt %d, and %s", r.Sequence, a.Type, a.ID, a.Attempt, why)
		}
	}
}

// lost demands that nobody was called lost who was there, and nobody twice who
// did not come back.
func (b *bookkeeper) lost(r eventlog.Record) {
	b.Helper()
	id := r.Event.Node
	p, from := b.processes[agentOf(id)], r.Time.Add(-lease-beyond)
	if p.ran(from, r.Time) {
		b.Errorf("sequence %d at %s: %s was called lost, and was there", r.Sequence, r.Time.Sub(b.began), id)
	}
	began := p.lastStart(r.Time)
	if began.Equal(b.losses[id]) {
		b.Errorf("sequence %d at %s: %s was called lost again, and did not come back", r.Sequence, r.Time.Sub(b.began), id)
	}
	b.losses[id] = began
}

// needless says why nobody needs an action on the fold it was decided on.
func (b *bookkeeper) needless(a events.ActionRequested) string {
	n, known := b.state.Node(a.ID)
	_, kind, busy := b.state.Ledger().InFlight(a.ID)
	switch {
	case busy:
		return fmt.Sprintf("%s is in flight", kind)
	case a.Type == fleet.EnrollNode && known && n.Present:
		return "the node is present"
	case a.Type == fleet.IssueCredential && (!known || !n.Present):
		return "the node is absent"
	case a.Type == fleet.IssueCredential && b.state.CanSign(a.ID):
		return "the node can sign"
	case a.Type == fleet.DecommissionNode && !known:
		return "the node is gone"
	}
	return ""
}
