package fleet_test

import (
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func twoShards() fleet.Partition {
	return fleet.Partition{Rest: "a", Shards: []fleet.Shard{{Name: "a", Regions: []string{"ams"}}, {Name: "b", Regions: []string{"nyc", "sfo"}}}}
}

func TestTheRestHasWhatNobodyIsNamedFor(t *testing.T) {
	owner := twoShards().Owners()
	for region, want := range map[string]string{"ams": "a", "nyc": "b", "sfo": "b", "tyo": "a", "": "a"} {
		if got := owner(region); got != want {
			t.Errorf("region %q: got %q, want %q", region, got, want)
		}
	}
	if whole := (fleet.Partition{}).Owners(); whole("ams") != "" || whole("") != "" {
		t.Error("a fleet that is one has a shard with a name")
	}
}

func TestAPartitionKnowsItsShards(t *testing.T) {
	p := twoShards()
	if !p.Knows("a") || !p.Knows("b") || p.Knows("") || p.Knows("c") || p.None() || p.Validate() != nil {
		t.Errorf("%+v: %v", p, p.Validate())
	}
	if whole := (fleet.Partition{}); !whole.Knows("") || whole.Knows("a") || !whole.None() || whole.Validate() != nil {
		t.Error("the zero partition is not that of a fleet that is one")
	}
}

func TestAPartitionThatIsAmbiguousIsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*fleet.Partition){
		`rest is "c", must be the name of one`:              func(p *fleet.Partition) { p.Rest = "c" },
		`rest is "", must be the name of one`:               func(p *fleet.Partition) { p.Rest = "" },
		`rest is "a", and there are no shards`:              func(p *fleet.Partition) { p.Shards = nil },
		"there are 1 shards":                                func(p *fleet.Partition) { p.Shards = p.Shards[:1] },
		`shard "a" is named twice`:                          func(p *fleet.Partition) { p.Shards[1].Name = "a" },
		`shard name "b.c" must have`:                        func(p *fleet.Partition) { p.Shards[1].Name = "b.c" },
		`shard name "-b" must have`:                         func(p *fleet.Partition) { p.Shards[1].Name = "-b" },
		`region "ams" belongs to shard "a" and to shard "b`: func(p *fleet.Partition) { p.Shards[1].Regions[0] = "ams" },
		`shard "b" names a region that is empty`:            func(p *fleet.Partition) { p.Shards[1].Regions[0] = "" },
		`shard "b" has no regions`:                          func(p *fleet.Partition) { p.Shards[1].Regions = nil },
		"4099 regions are named":                            func(p *fleet.Partition) { p.Shards[1].Regions = many(4098) },
	} {
		p := twoShards()
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func many(n int) (names []string) {
	for i := range n {
		names = append(names, strings.Repeat("r", i+1))
	}
	return names
}
