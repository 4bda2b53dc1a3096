package projection_test

import (
	"strings"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// partition is the last one that fits.
func (c chronicle) partition() (p projection.PartitionRef) {
	for _, m := range c.of(events.TypePartitionApplied) {
		d := m.event.Data.(*events.PartitionApplied)
		p = projection.PartitionRef{Partition: d.Partition, Sequence: m.seq, At: m.at, Actor: d.Actor, Note: d.Note}
	}
	return p
}

// counts says whether a plan counts where it stands.
func (c chronicle) counts(m message) bool {
	before := c[:m.seq-1]
	p, d := before.partition(), m.event.Data.(*events.PlanDecided)
	if len(p.Shards) == 0 && d.Shard != "" || d.Partition != p.Sequence {
		return false
	}
	known := len(p.Shards) == 0
	for _, s := range p.Shards {
		known = known || s.Name == d.Shard
	}
	return known && (p.Sequence == 0 || d.Generation == before.inventory().Generation)
}

// planOf is the plan whose announced action stands at a sequence: between the two
// are only actions, and no more than it announced.
func (c chronicle) planOf(seq uint64) (plan message, ok bool) {
	for at := seq - 1; at > 0; at-- {
		m := c[at-1]
		switch {
		case m.is(actionTypes...), m.event == nil && strings.HasPrefix(m.subject, "fleet.actions."):
		case m.is(events.TypePlanDecided) && m.fits:
			return m, seq-at <= uint64(len(m.event.Data.(*events.PlanDecided).Actions))
		default:
			return message{}, false
		}
	}
	return message{}, false
}

// planned says whether an action at a sequence is of a plan that counts, or of
// none in a fleet that was never divided, and of which shard.
func (c chronicle) planned(seq uint64) (shard string, ok bool) {
	if plan, ok := c.planOf(seq); ok {
		return plan.event.Data.(*events.PlanDecided).Shard, c.counts(plan)
	}
	return "", c[:seq-1].partition().Sequence == 0
}

// safeguards are those of the newest plan that counted and was the rest's.
func (c chronicle) safeguards() (g events.HoldSafeguards) {
	for _, m := range c.of(events.TypePlanDecided) {
		d := m.event.Data.(*events.PlanDecided)
		if c.counts(m) && d.Shard == c[:m.seq-1].partition().Rest {
			g = d.Safeguards
		}
	}
	return g
}

var shards = []string{"", "a", "b", "c"}

func drawPartition(t *rapid.T) fleet.Partition {
	a, b := fleet.Shard{Name: "a", Regions: []string{"r"}}, fleet.Shard{Name: "b", Regions: []string{"s"}}
	return pick(t, "partition", fleet.Partition{}, fleet.Partition{Shards: []fleet.Shard{a, b}, Rest: "a"},
		fleet.Partition{Shards: []fleet.Shard{a, b}, Rest: "b"}, fleet.Partition{Shards: []fleet.Shard{{Name: "c"}, b}, Rest: "c"},
		fleet.Partition{Shards: []fleet.Shard{a}, Rest: "a"}) // the last one is none that there can be
}

// drawPlan is mostly one that counts.
func (m *foldMachine) drawPlan(t *rapid.T, d *events.PlanDecided) {
	d.Safeguards.RemovalMin = rapid.IntRange(0, 9).Draw(t, "removal_min")
	p := m.log.partition()
	d.Partition, d.Generation = p.Sequence, m.log.inventory().Generation
	if names := p.Names(); len(names) > 0 && mostly(t, "a shard that there is") {
		d.Shard = pick(t, "shard", names...)
	} else if !mostly(t, "no shard") {
		d.Shard = pick(t, "any shard", shards...)
	}
	if !mostly(t, "the partition in force") {
		d.Partition = rapid.Uint64Range(0, p.Sequence+1).Draw(t, "partition")
	}
	if !mostly(t, "the inventory in force") {
		d.Generation++
	}
}

// shared divides the fleet, and publishes plans with actions of nodes.
func (m *foldMachine) shared(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "divide") == 0 {
		m.tellOne(t, events.TypePartitionApplied)
	}
	for range rapid.IntRange(1, 3).Draw(t, "plans") {
		m.plan(t)
		if rapid.IntRange(0, 3).Draw(t, "outcome") == 0 {
			m.tellOne(t, outcomeTypes...)
		}
	}
}
