package events

import (
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func shardPlan(shard string, partition, basis uint64) *Event {
	return &Event{ID: "p", Source: SourcePlanner, Type: TypePlanDecided, Time: time.Unix(0, 0).UTC(), Data: &PlanDecided{
		Plan: "plan-1", Basis: basis, Shard: shard, Partition: partition,
	}}
}

func TestAPlanTravelsOnTheSubjectOfItsShard(t *testing.T) {
	s := DefaultSubjects()
	for shard, want := range map[string]string{"": "fleet.events.plan", "a": "fleet.events.plan.a"} {
		m, err := Encode(s, shardPlan(shard, 3, 9))
		if err != nil || m.Subject != want || s.PlanOf(shard) != want {
			t.Errorf("shard %q: %q, %q, %v", shard, m.Subject, s.PlanOf(shard), err)
		}
		if back, ok := s.PlanShard(want); back != shard || !ok {
			t.Errorf("%s is said to be of shard %q: %v", want, back, ok)
		}
		if _, err := Decode(s, m); err != nil {
			t.Error(err)
		}
		m.Subject = "fleet.events.plan.other"
		if _, err := Decode(s, m); err == nil {
			t.Errorf("a plan of shard %q was taken on another shard's subject", shard)
		}
	}
	for _, subject := range []string{"fleet.events.planet", "fleet.events.plan.a.b", "fleet.events.plan.", "fleet.events.control"} {
		if shard, ok := s.PlanShard(subject); ok {
			t.Errorf("%s is said to be of shard %q", subject, shard)
		}
	}
}

func TestAPlanOfAShardNamesItsPartition(t *testing.T) {
	for want, e := range map[string]*Event{
		"names the partition at 0":  shardPlan("a", 0, 9),
		"names the partition at 10": shardPlan("a", 10, 9),
		`shard name "a.b"`:          shardPlan("a.b", 3, 9),
	} {
		if _, err := Encode(DefaultSubjects(), e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A fleet that was never divided has the bytes that it had before there were shards.
func TestAPlanWithoutAShardSaysNothingOfIt(t *testing.T) {
	m, err := Encode(DefaultSubjects(), shardPlan("", 0, 9))
	if err != nil || strings.Contains(string(m.Data), "shard") || strings.Contains(string(m.Data), "partition") {
		t.Errorf("%s: %v", m.Data, err)
	}
}

func TestAPartitionListsItsShardsEvenIfThereAreNone(t *testing.T) {
	e := &Event{ID: "x", Source: SourceOperator, Type: TypePartitionApplied, Time: time.Unix(0, 0).UTC(), Data: &PartitionApplied{Actor: "kim"}}
	m, err := Encode(DefaultSubjects(), e)
	if err != nil || string(m.Data) != `{"shards":[],"actor":"kim"}` || m.Subject != "fleet.events.partition" {
		t.Fatalf("%s on %s: %v", m.Data, m.Subject, err)
	}
	if err := CheckSchema(TypePartitionApplied, m.Data); err != nil {
		t.Error(err)
	}
	e.Data = &PartitionApplied{Actor: "kim", Partition: fleet.Partition{Rest: "a"}}
	if _, err := Encode(DefaultSubjects(), e); err == nil {
		t.Error("a rest of no shards was written")
	}
}
