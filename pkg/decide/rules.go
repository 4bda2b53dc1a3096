package decide

import (
	"maps"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Rule is a planner's whole decision by one version of the rule, as Plan is by
// the present one.
type Rule func(*projection.State, *fleet.Inventory, Given) Decided

// rules has every version that a plan on some log may have been decided by. One
// that no planner uses any more is kept as it was, for the audits of its time.
var rules = map[string]Rule{
	engine.RuleVersion: Plan,
}

// RuleFor returns the rule of that version; false if this build does not know it.
func RuleFor(version string) (Rule, bool) {
	rule, ok := rules[version]
	return rule, ok
}

// RuleVersions lists the versions that RuleFor knows.
func RuleVersions() []string { return slices.Sorted(maps.Keys(rules)) }
