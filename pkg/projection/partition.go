package projection

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// PartitionRef is the partition in force. The zero value means that the fleet was
// never divided; one without shards has a sequence, too.
type PartitionRef struct {
	fleet.Partition
	// Sequence where it was applied, and At when the log stored it.
	Sequence    uint64
	At          time.Time
	Actor, Note string
}

// sharing is what the fold knows of planners that share the fleet. All of it is
// empty in a fleet that was never divided.
type sharing struct {
	partition PartitionRef
	// lastPlans are the last sequences on the subjects of the plans of shards.
	lastPlans map[string]uint64
	// shard whose plan was the newest message that is no action, and whether that
	// plan, with the actions it announced, counts for nothing.
	shard string
	void  bool
}

// Partition is the partition in force. Nobody may change it.
func (s *State) Partition() PartitionRef { return s.sharing.partition }

// LastPartition is the last sequence on the partition subject; 0 for none.
func (s *State) LastPartition() uint64 { return s.last.partition }

// LastPlanOf is the last sequence on the subject of a shard's plans; 0 for none.
// That of the empty name is LastPlan.
func (s *State) LastPlanOf(shard string) uint64 {
	if shard == "" {
		return s.last.plan
	}
	return s.sharing.lastPlans[shard]
}

// Admits says whether a plan that is appended now would count: the partition in
// force is the one that it was decided under, and has its shard; and, in a fleet
// that was ever divided, the inventory in force is that, too. So of two plans
// that count, and that name one node, the later was decided behind the earlier,
// or under what gives the node to the same shard.
func (s *State) Admits(d *events.PlanDecided) bool {
	p := &s.sharing.partition
	return p.Knows(d.Shard) && p.Sequence == d.Partition && (p.Sequence == 0 || d.Generation == s.inventory.Generation)
}

// applyPartition takes every partition that there can be: whoever appends one is
// fenced on the one before.
func (s *State) applyPartition(seq uint64, at time.Time, e *events.Event) (changed, fits bool) {
	d, ok := data[events.PartitionApplied](e)
	if !ok || d.Validate() != nil {
		return false, false
	}
	s.sharing.partition = PartitionRef{Partition: plainPartition(d.Partition), Sequence: seq, At: at, Actor: d.Actor, Note: d.Note}
	return true, true
}

// plainPartition has no empty list where it could have none: equal states have
// equal images.
func plainPartition(p fleet.Partition) fleet.Partition {
	plain := fleet.Partition{Rest: p.Rest}
	for _, s := range p.Shards {
		plain.Shards = append(plain.Shards, fleet.Shard{Name: s.Name, Regions: append([]string(nil), s.Regions...)})
	}
	return plain
}

// applyPlan says whether the plan counts. What holds in flight by the safeguards
// of the newest plan has to agree on whose: that of the rest.
func (s *State) applyPlan(seq uint64, d *events.PlanDecided) {
	s.planEnd = seq + uint64(len(d.Actions))
	s.sharing.shard, s.sharing.void = d.Shard, !s.Admits(d)
	if !s.sharing.void && d.Shard == s.sharing.partition.Rest {
		s.safeguards, s.policy = d.Safeguards, d.Policy
	}
}

// actionCounts says whether an action at that sequence is one of a plan that
// counts. In a fleet that was never divided it need not be of any.
func (s *State) actionCounts(seq uint64) bool {
	if seq <= s.planEnd {
		return !s.sharing.void
	}
	return s.sharing.partition.Sequence == 0
}

// noPlan forgets whose plan the last one was: what follows is of none.
func (x *sharing) noPlan() { x.shard, x.void = "", false }

// planned is whose action one is that counts.
func (s *State) planned(seq uint64) string {
	if seq <= s.planEnd {
		return s.sharing.shard
	}
	return ""
}

func (s *State) movePlanFence(seq uint64, e *events.Event) {
	if d, ok := data[events.PlanDecided](e); ok {
		s.movePlanFenceOf(seq, d.Shard)
		return
	}
	s.last.plan = seq
}

func (s *State) movePlanFenceOf(seq uint64, shard string) {
	if shard == "" {
		s.last.plan = seq
		return
	}
	if s.sharing.lastPlans == nil {
		s.sharing.lastPlans = make(map[string]uint64)
	}
	s.sharing.lastPlans[shard] = seq
}

// skipPlan moves the fence of plans where the subject is one of theirs.
func (s *State) skipPlan(seq uint64, subjects events.Subjects, subject string) {
	if shard, ok := subjects.PlanShard(subject); ok {
		s.movePlanFenceOf(seq, shard)
	}
}

// SharingImage is what an Image says of planners that share the fleet. It is zero
// in a fleet that was never divided.
type SharingImage struct {
	Partition     PartitionRef
	LastPartition uint64
	// LastPlans by shard, by name.
	LastPlans []LastPlan
	// PlanShard and PlanVoid are of the plan whose batch may not be over.
	PlanShard string
	PlanVoid  bool
}

// LastPlan is the last sequence on the subject of the plans of a shard.
type LastPlan struct {
	Shard    string
	Sequence uint64
}

func (s *State) sharingImage() SharingImage {
	x := SharingImage{Partition: s.sharing.partition, LastPartition: s.last.partition, PlanShard: s.sharing.shard, PlanVoid: s.sharing.void}
	for _, shard := range slices.Sorted(maps.Keys(s.sharing.lastPlans)) {
		x.LastPlans = append(x.LastPlans, LastPlan{shard, s.sharing.lastPlans[shard]})
	}
	return x
}

func (s *State) restoreSharing(img *Image) error {
	x := &img.Sharing
	if x.LastPartition > img.Sequence || x.Partition.Sequence > x.LastPartition {
		return fmt.Errorf("partition of %d, and the last at %d, after the log's %d", x.Partition.Sequence, x.LastPartition, img.Sequence)
	}
	if err := x.Partition.Validate(); err != nil {
		return fmt.Errorf("partition: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	for i, l := range x.LastPlans {
		if fleet.CheckShardName(l.Shard) != nil || l.Sequence == 0 || l.Sequence > img.Sequence || i > 0 && x.LastPlans[i-1].Shard >= l.Shard {
			return fmt.Errorf("last plan of shard %q at %d is out of order or of nothing", l.Shard, l.Sequence)
		}
		s.movePlanFenceOf(l.Sequence, l.Shard)
	}
	s.last.partition = x.LastPartition
	s.sharing.partition, s.sharing.shard, s.sharing.void = x.Partition, x.PlanShard, x.PlanVoid
	return nil
}
