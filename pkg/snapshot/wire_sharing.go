package snapshot

import (
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

type wireSharing struct {
	_                       struct{} `cbor:",toarray"`
	Shards                  []wireShard
	Rest, Actor, Note       string
	Sequence, LastPartition uint64
	At                      wireTime
	LastPlans               []wireLastPlan
	PlanShard               string
	PlanVoid                bool
}

type wireShard struct {
	_       struct{} `cbor:",toarray"`
	Name    string
	Regions []string
}

type wireLastPlan struct {
	_        struct{} `cbor:",toarray"`
	Shard    string
	Sequence uint64
}

func toSharing(x *projection.SharingImage) wireSharing {
	p := &x.Partition
	w := wireSharing{
		Rest: p.Rest, Actor: p.Actor, Note: p.Note, Sequence: p.Sequence, LastPartition: x.LastPartition,
		At: toTime(p.At), PlanShard: x.PlanShard, PlanVoid: x.PlanVoid,
	}
	for _, s := range p.Shards {
		w.Shards = append(w.Shards, wireShard{Name: s.Name, Regions: s.Regions})
	}
	for _, l := range x.LastPlans {
		w.LastPlans = append(w.LastPlans, wireLastPlan{Shard: l.Shard, Sequence: l.Sequence})
	}
	return w
}

func (w *wireSharing) into(x *projection.SharingImage) {
	x.Partition = projection.PartitionRef{Sequence: w.Sequence, At: w.At.time(), Actor: w.Actor, Note: w.Note}
	x.Partition.Rest = w.Rest
	for _, s := range w.Shards {
		x.Partition.Shards = append(x.Partition.Shards, fleet.Shard{Name: s.Name, Regions: s.Regions})
	}
	x.LastPartition, x.PlanShard, x.PlanVoid = w.LastPartition, w.PlanShard, w.PlanVoid
	for _, l := range w.LastPlans {
		x.LastPlans = append(x.LastPlans, projection.LastPlan{Shard: l.Shard, Sequence: l.Sequence})
	}
}
