package projection_test

import (
	"slices"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// TestSharingRules has one sentence for each rule on planners that share a fleet.
// The actions that fly are named with their shards.
func TestSharingRules(t *testing.T) {
	const divided = "inventory d\n partition a=ams b=nyc rest=a\n" // at 1 and 2
	for rule, c := range map[string]struct {
		given string
		want  []string
	}{
		"in a fleet that is one an action needs no plan":               {"enroll n1 action=e1", []string{"e1"}},
		"in a fleet that is one a plan need not be of its inventory":   {"inventory d\n plan p actions=1 generation=7\n enroll n1 action=e1", []string{"e1"}},
		"in a fleet that is one a plan of a shard does not count":      {"plan p actions=1 shard=a partition=1\n enroll n1 action=e1", nil},
		"the rest is a shard like any other":                           {divided + "plan p actions=1 shard=a partition=2 generation=1\n enroll n1 action=e1", []string{"a/e1"}},
		"a plan of a shard under the partition and inventory counts":   {divided + "plan p actions=2 shard=b partition=2 generation=1\n enroll n1 action=e1\n enroll n2 action=e2", []string{"b/e1", "b/e2"}},
		"a plan of a shard that there is not counts for nothing":       {divided + "plan p actions=1 shard=c partition=2 generation=1\n enroll n1 action=e1", nil},
		"a plan of no shard counts for nothing":                        {divided + "plan p actions=1 partition=2 generation=1\n enroll n1 action=e1", nil},
		"a plan of another partition counts for nothing":               {divided + "partition a=ams b=nyc rest=a\n plan p actions=1 shard=b partition=2 generation=1\n enroll n1 action=e1", nil},
		"a plan of another inventory counts for nothing":               {divided + "inventory d2 generation=2\n plan p actions=1 shard=b partition=2 generation=1\n enroll n1 action=e1", nil},
		"an action behind its plan's last counts for nothing":          {divided + "plan p actions=1 shard=b partition=2 generation=1\n enroll n1 action=e1\n enroll n2 action=e2", []string{"b/e1"}},
		"an action behind something else counts for nothing":           {divided + "plan p actions=2 shard=b partition=2 generation=1\n enroll n1 action=e1\n appeared n1\n enroll n2 action=e2", []string{"b/e1"}},
		"an action in flight outlives the partition":                   {"inventory d\n enroll n1 action=e1\n partition a=ams b=nyc rest=a\n partition", []string{"e1"}},
		"once divided, a fleet that is one again has plans that count": {divided + "partition\n plan p actions=1 partition=3 generation=1\n enroll n1 action=e1", []string{"e1"}},
		"once divided, it asks of plans what a divided fleet asks":     {divided + "partition\n plan p actions=1 generation=1\n enroll n1 action=e1\n appeared n1\n enroll n2 action=e2", nil},
		"a partition that there cannot be changes nothing":             {divided + "partition a=ams rest=a\n plan p actions=1 shard=b partition=2 generation=1\n enroll n1 action=e1", []string{"b/e1"}},
	} {
		t.Run(rule, func(t *testing.T) {
			var have []string
			s := after(t, c.given)
			for _, f := range s.Ledger().Flights() {
				name := string(f.ID)
				if f.Shard != "" {
					name = f.Shard + "/" + name
				}
				have = append(have, name)
			}
			if !slices.Equal(have, c.want) {
				t.Errorf("in flight are %q, want %q", have, c.want)
			}
			if again := imaged(t, s); hashOf(t, again) != hashOf(t, s) {
				t.Error("it does not come back from its image")
			}
		})
	}
}

func TestTheSafeguardsAreThoseOfTheRest(t *testing.T) {
	s := after(t, `inventory d
		plan p1 removal_min=1
		partition a=ams b=nyc rest=a
		plan p2 shard=b partition=3 generation=1 removal_min=2`)
	if got := s.Safeguards().RemovalMin; got != 1 {
		t.Errorf("removal_min is %d, of a shard that is not the rest", got)
	}
	apply(t, s, parseLine("plan p3 shard=a partition=3 generation=1 removal_min=3").event())
	apply(t, s, parseLine("plan p4 shard=a partition=3 generation=9 removal_min=4").event())
	if got := s.Safeguards().RemovalMin; got != 3 {
		t.Errorf("removal_min is %d, want that of the newest plan of the rest that counts", got)
	}
}

func TestEachShardHasAFenceOfItsOwn(t *testing.T) {
	s, subjects := after(t, "inventory d\n partition a=ams b=nyc rest=a\n plan p shard=b partition=2 generation=1\n plan q\n plan r shard=c"), events.DefaultSubjects()
	if err := s.Skip(6, subjects, "fleet.events.plan.a"); err != nil {
		t.Fatal(err)
	}
	for shard, want := range map[string]uint64{"": 4, "a": 6, "b": 3, "c": 5, "d": 0} {
		if got := s.LastPlanOf(shard); got != want {
			t.Errorf("shard %q: the last plan is at %d, want %d", shard, got, want)
		}
	}
	if s.LastPartition() != 2 || s.Partition().Sequence != 2 {
		t.Errorf("partition at %d, the last of its subject at %d", s.Partition().Sequence, s.LastPartition())
	}
	if err := s.Skip(7, subjects, subjects.Partition()); err != nil || s.LastPartition() != 7 || s.Partition().Sequence != 2 {
		t.Errorf("%v: partition at %d, the last of its subject at %d", err, s.Partition().Sequence, s.LastPartition())
	}
	if got := s.Ignored(); got["plan.decided"] != 2 {
		t.Errorf("two plans counted for nothing, and are counted as %v", got)
	}
}

func TestImagesOfSharingThatNoFoldLeadsTo(t *testing.T) {
	const story = "inventory d\n partition a=ams b=nyc rest=a\n plan p actions=2 shard=b partition=2 generation=1\n plan q shard=a partition=2 generation=1"
	for what, spoil := range map[string]func(*projection.SharingImage){
		"a partition to come":            func(x *projection.SharingImage) { x.Partition.Sequence = 9 },
		"a partition that cannot be":     func(x *projection.SharingImage) { x.Partition.Rest = "z" },
		"a last partition to come":       func(x *projection.SharingImage) { x.LastPartition = 9 },
		"plans out of order":             func(x *projection.SharingImage) { slices.Reverse(x.LastPlans) },
		"a plan that is still to come":   func(x *projection.SharingImage) { x.LastPlans[0].Sequence = 9 },
		"a plan of nothing":              func(x *projection.SharingImage) { x.LastPlans[0].Sequence = 0 },
		"a plan of a shard without name": func(x *projection.SharingImage) { x.LastPlans[0].Shard = "" },
	} {
		img := after(t, story).Image()
		if _, err := projection.FromImage(img); err != nil {
			t.Fatal(err)
		}
		spoil(&img.Sharing)
		if _, err := projection.FromImage(img); err == nil {
			t.Errorf("%s: it was taken for an image", what)
		}
	}
}

// What a state keeps of a partition does not change with the event it came in.
func TestAPartitionIsTheStatesOwn(t *testing.T) {
	s, e := after(t, "inventory d"), parseLine("partition a=ams b=nyc rest=a").event()
	apply(t, s, e)
	e.Data.(*events.PartitionApplied).Shards[0].Regions[0] = "tyo"
	if s.Partition().Owners()("ams") != "a" || s.Partition().Shards[0].Regions[0] != "ams" {
		t.Errorf("got %+v", s.Partition())
	}
	if (projection.New().Partition().Owners())("ams") != "" || !projection.New().Partition().Knows("") || fleet.CheckShardName("a") != nil {
		t.Error("a fleet that was never divided is not one")
	}
}
