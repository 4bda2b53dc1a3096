package fleet

import (
	"errors"
	"fmt"
	"slices"
)

// Bounds of a Partition, so that one is one message.
const (
	MaxShards       = 64
	MaxShardName    = 32
	MaxShardRegions = 4096
)

// Partition divides the nodes of a fleet among planners, by their regions. The
// zero Partition does not: the fleet is one, and its shard has no name.
type Partition struct {
	// Shards in any order, 2 to MaxShards, or none.
	Shards []Shard `json:"shards" yaml:"shards"`
	// Rest is the shard that has everything that no other is named for: regions,
	// nodes that the inventory does not name, and the fleet as a whole. Empty
	// where there are no shards.
	Rest string `json:"rest,omitempty" yaml:"rest"`
}

// Shard is what one part of a fleet is called, and the regions that it has.
type Shard struct {
	// Name is a subject token: 1 to MaxShardName letters, digits, "_" and "-".
	Name string `json:"name" yaml:"name"`
	// Regions by name; none is fine for the rest only, which has others anyway.
	Regions []string `json:"regions,omitempty" yaml:"regions"`
}

// None says that the fleet is one.
func (p Partition) None() bool { return len(p.Shards) == 0 }

// Knows says whether there is a shard of that name: the empty one where the
// fleet is one.
func (p Partition) Knows(shard string) bool {
	if p.None() {
		return shard == ""
	}
	return slices.ContainsFunc(p.Shards, func(s Shard) bool { return s.Name == shard })
}

// Names lists the shards.
func (p Partition) Names() (names []string) {
	for _, s := range p.Shards {
		names = append(names, s.Name)
	}
	return names
}

// Validate reports everything that makes a partition ambiguous, all at once.
func (p Partition) Validate() error {
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch {
	case p.None() && p.Rest != "":
		report("rest is %q, and there are no shards", p.Rest)
	case !p.None() && (len(p.Shards) < 2 || len(p.Shards) > MaxShards):
		report("there are %d shards, must be 2 to %d, or none for a fleet that is one", len(p.Shards), MaxShards)
	case !p.None() && !p.Knows(p.Rest):
		report("rest is %q, must be the name of one of the shards", p.Rest)
	}
	owner, named, regions := make(map[string]string), make(map[string]bool), 0
	for _, s := range p.Shards {
		if err := CheckShardName(s.Name); err != nil {
			problems = append(problems, err)
		}
		if named[s.Name] {
			report("shard %q is named twice", s.Name)
		}
		named[s.Name] = true
		if len(s.Regions) == 0 && s.Name != p.Rest {
			report("shard %q has no regions, so it has no nodes", s.Name)
		}
		regions += len(s.Regions)
		for _, r := range s.Regions {
			if other, taken := owner[r]; taken {
				report("region %q belongs to shard %q and to shard %q", r, other, s.Name)
			} else if r == "" {
				report("shard %q names a region that is empty", s.Name)
			}
			owner[r] = s.Name
		}
	}
	if regions > MaxShardRegions {
		report("%d regions are named, at most %d can be", regions, MaxShardRegions)
	}
	return errors.Join(problems...)
}

// CheckShardName says what is wrong with the name of a shard.
func CheckShardName(name string) error {
	ok := name != "" && len(name) <= MaxShardName && name[0] != '-'
	for i := range len(name) {
		c := name[i]
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("shard name %q must have 1 to %d letters, digits, \"_\" and \"-\" (not first)", name, MaxShardName)
	}
	return nil
}

// Owners says which shard has a region; the empty region stands for what is in
// none, and for the fleet as a whole.
func (p Partition) Owners() func(region string) string {
	owner := make(map[string]string)
	for _, s := range p.Shards {
		for _, r := range s.Regions {
			owner[r] = s.Name
		}
	}
	return func(region string) string {
		if name, named := owner[region]; named {
			return name
		}
		return p.Rest
	}
}
