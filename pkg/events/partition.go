package events

import (
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// PartitionApplied divides the fleet among shards from here on, or makes it one
// again where it names none. What was decided under another partition, and is
// appended behind it, does not count.
type PartitionApplied struct {
	fleet.Partition
	Actor string `json:"actor"`
	Note  string `json:"note,omitempty"`
}

func (*PartitionApplied) payload() {}

// Partition is the subject of partition.applied.
func (s Subjects) Partition() string { return s.prefix + ".events.partition" }

// PlanOf is the subject of the plans of a shard, which are fenced on it; Plan for
// the empty name.
func (s Subjects) PlanOf(shard string) string {
	if shard == "" {
		return s.Plan()
	}
	return s.Plan() + "." + shard
}

// AllShardPlans matches the plans of every shard that has a name.
func (s Subjects) AllShardPlans() string { return s.Plan() + ".*" }

// PlanShard is the shard whose plans travel on a subject; false if none do.
func (s Subjects) PlanShard(subject string) (shard string, ok bool) {
	if subject == s.Plan() {
		return "", true
	}
	shard, ok = strings.CutPrefix(subject, s.Plan()+".")
	return shard, ok && fleet.CheckShardName(shard) == nil
}

func planTail(e *Event) string {
	if d, ok := e.Data.(*PlanDecided); ok && d.Shard != "" {
		return "events.plan." + d.Shard
	}
	return "events.plan"
}

func checkPartition(p fleet.Partition) error {
	if err := p.Validate(); err != nil {
		return refuse(ReasonBadData, "partition: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// checkPlanShard checks that a plan of a shard can stand on a subject, and says
// under which partition it was decided.
func checkPlanShard(d *PlanDecided) error {
	if d.Shard == "" {
		return nil
	}
	if err := fleet.CheckShardName(d.Shard); err != nil {
		return refuse(ReasonBadData, "%v", err)
	}
	return need(d.Partition > 0 && d.Partition <= d.Basis, "the plan of shard %q on basis %d names the partition at %d", d.Shard, d.Basis, d.Partition)
}
