package planner

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// ErrPartitionMoved means that another partition came into force since the one
// that was to be replaced: nothing was changed.
var ErrPartitionMoved = errors.New("another partition was applied meanwhile")

// Divide applies a partition over the one that was seen, whose last sequence is
// seen.LastPartition: nobody replaces what they have not seen.
func Divide(ctx context.Context, log eventlog.Log, p fleet.Partition, seen SeenPartition, w Word) (uint64, error) {
	data := &events.PartitionApplied{Partition: p, Actor: w.Actor, Note: w.Note}
	seq, err := log.Append(ctx, eventlog.Entry{
		Event: &events.Event{
			ID:     events.NewID(string(events.TypePartitionApplied), fmt.Sprintf("%+v", data), strconv.FormatUint(seen.LastPartition, 10)),
			Source: events.SourceOperator, Type: events.TypePartitionApplied, Time: w.At, Data: data,
		},
		Fence: eventlog.LastOnSubject(seen.LastPartition),
	})
	switch {
	case errors.Is(err, eventlog.ErrConflict):
		return 0, ErrPartitionMoved
	case err != nil:
		return 0, fmt.Errorf("append %s: %w", events.TypePartitionApplied, err)
	}
	return seq, nil
}

// SeenPartition is the partition that a person was shown.
type SeenPartition struct {
	projection.PartitionRef
	// LastPartition is the last sequence on the subject of partitions.
	LastPartition uint64
}

// PartitionOn is what a person is shown on a fold.
func PartitionOn(st *projection.State) SeenPartition {
	return SeenPartition{st.Partition(), st.LastPartition()}
}

// Same says that a partition is the one in force already.
func (s SeenPartition) Same(p fleet.Partition) bool {
	if s.None() || p.None() {
		return s.None() && p.None()
	}
	return s.Rest == p.Rest && reflect.DeepEqual(regionsOf(s.Partition), regionsOf(p))
}

// regionsOf has the regions of each shard, in whatever order they were written.
func regionsOf(p fleet.Partition) map[string]map[string]bool {
	of := make(map[string]map[string]bool)
	for _, s := range p.Shards {
		of[s.Name] = make(map[string]bool)
		for _, r := range s.Regions {
			of[s.Name][r] = true
		}
	}
	return of
}
