package decide

import (
	"maps"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Rule is a planner's whole decision by one version of the rule.
type Rule struct {
	// Whole looks at the whole fleet each time, as Plan does.
	Whole func(*projection.State, *fleet.Inventory, Given) Decided
	// Begin returns what gives the same for one log, again and again while it
	// grows, as Incremental does.
	Begin func() Decider
}

// Decider decides while a log grows; Incremental is one.
type Decider interface {
	Plan(*projection.State, *Desired, Given) Decided
}

// versions has every one that a plan on some log may have been decided by. One
// that no planner uses any more is kept as it was, for the audits of its time.
var versions = map[string]Rule{
	engine.RuleVersion: {Whole: Plan, Begin: func() Decider { return new(Incremental) }},
}

// RuleFor returns the rule of that version; false if this build does not know it.
func RuleFor(version string) (Rule, bool) {
	rule, ok := versions[version]
	return rule, ok
}

// RuleVersions lists the versions that RuleFor knows.
func RuleVersions() []string { return slices.Sorted(maps.Keys(versions)) }
