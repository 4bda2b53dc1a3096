package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func (a *audit) skipped(d Decision) error {
	a.report.Plans++
	a.differ(d.Sequence, WhatBasis, "a sequence from the basis of the plan before to the one before this plan", fmt.Sprint("basis ", d.Basis))
	return nil
}

// wholeEvery is how many plans are decided at the cost of what changed for one
// that is decided by looking at everybody as well.
const wholeEvery = 64

// decision makes the decision again and compares. What differs is decided a second
// time on the whole fleet before it is reported, and of what does not, one in
// wholeEvery.
func (a *audit) decision(st *projection.State, d Decision) error {
	a.report.Plans++
	given, inv := a.premises(st, d)
	if inv == nil {
		return a.ctx.Err()
	}
	if !a.underPartition(st, d) {
		return nil
	}
	found := compare(a.deciders.of(d).Plan(st, a.index(inv), given), d)
	if len(found) > 0 || a.report.Plans%wholeEvery == 0 {
		rule, _ := decide.RuleFor(d.RuleVersion)
		found = compare(rule.Whole(st, inv, given), d)
	}
	for _, diff := range found {
		a.report.add(diff)
	}
	return nil
}

// deciders are the rules of all versions that were met, by shard, each at its place
// in the log.
type deciders map[[2]string]decide.Decider

// of begins with a version that RuleFor knows when it is first met.
func (all deciders) of(d Decision) decide.Decider {
	at := [2]string{d.RuleVersion, d.Shard}
	if all[at] == nil {
		rule, _ := decide.RuleFor(d.RuleVersion)
		all[at] = rule.Begin()
	}
	return all[at]
}

// underPartition says whether a plan was decided under the partition that was in
// force on its basis, and by the safeguards that a planner of its shard has to
// take. Whether it counts where it stands is another question: an honest planner
// may have lost that race.
func (a *audit) underPartition(st *projection.State, d Decision) bool {
	in := st.Partition()
	if in.Sequence != d.Partition || !in.Knows(d.Shard) {
		a.differ(d.Sequence, WhatPartition, fmt.Sprintf("a plan under the partition at %d, which has %s", in.Sequence, cmp.Or(strings.Join(in.Names(), ", "), "no shards")),
			fmt.Sprintf("a plan of shard %q under the partition at %d", d.Shard, d.Partition))
		return false
	}
	if want := decide.Recorded(decide.Safeguards(st)); d.Shard != in.Rest && d.Safeguards != want {
		a.differ(d.Sequence, WhatThresholds, fmt.Sprintf("the safeguards of the newest plan of the rest: %+v", want), fmt.Sprintf("%+v", d.Safeguards))
	}
	return true
}

// index is the inventory with the index that goes with it.
func (a *audit) index(inv *fleet.Inventory) *decide.Desired {
	if a.desired == nil || a.desired.Inventory != inv {
		a.desired = decide.NewDesired(inv)
	}
	return a.desired
}

// premises are what to decide again with; without an inventory where that is not
// possible, which has been reported then.
func (a *audit) premises(st *projection.State, d Decision) (decide.Given, *fleet.Inventory) {
	given := decide.GivenBy(d.PlanDecided)
	if _, ok := decide.RuleFor(d.RuleVersion); !ok {
		a.differ(d.Sequence, WhatRuleVersion, "version "+strings.Join(decide.RuleVersions(), " or "),
			fmt.Sprintf("rule version %s is not known to this build", d.RuleVersion))
		return given, nil
	}
	if err := errors.Join(given.Safeguards.Validate(), given.Policy.Validate()); err != nil {
		a.differ(d.Sequence, WhatThresholds, "thresholds within their ranges", err.Error())
		return given, nil
	}
	if ref := st.Inventory(); ref.Digest != d.InventoryDigest || ref.Generation != d.Generation {
		a.differ(d.Sequence, WhatInventory, named(ref.Digest, ref.Generation), named(d.InventoryDigest, d.Generation))
		if ref.Digest == "" {
			return given, nil
		}
	}
	inv, err := a.inventory(st.Inventory().Digest)
	if err != nil {
		a.noInventory(d.Sequence, st.Inventory().Digest, err)
		return given, nil
	}
	return given, inv
}

func named(digest string, generation uint64) string {
	if digest == "" {
		return "no plan, since no inventory is in force"
	}
	return fmt.Sprintf("inventory %s of generation %d", digest, generation)
}

// noInventory reports a text that is not there or wrong.
func (a *audit) noInventory(sequence uint64, digest string, err error) {
	if a.ctx.Err() == nil {
		a.differ(sequence, WhatInventory, "the text of "+digest, err.Error())
	}
}

// compare says where a plan differs from what was decided again. Each part is
// reported once, at the first place where it differs.
func compare(want decide.Decided, d Decision) (found []Difference) {
	differ := func(what What, expected, found_ string) {
		found = append(found, Difference{d.Sequence, what, expected, found_})
	}
	if id := engine.PlanIDFor(want.Publish); id != d.Plan {
		differ(WhatPlan, string(id), string(d.Plan))
	}
	actions := make([]events.ActionRequested, len(want.Publish))
	for i, s := range want.Publish {
		actions[i] = events.ActionRequested{
			Type: s.Type, ID: s.ID, Action: s.ActionID, Attempt: s.Attempt, Epoch: s.Epoch, Generation: s.Generation,
		}
	}
	if e, f := firstUnlike(actions, d.Actions); e != f {
		differ(WhatActions, e, f)
	}
	if e, f := firstUnlike(want.Held[:min(len(want.Held), events.MaxHeldListed)], d.Held); e != f {
		differ(WhatHeld, e, f)
	}
	if len(want.Held) != d.HeldTotal {
		differ(WhatHeldTotal, fmt.Sprint(len(want.Held)), fmt.Sprint(d.HeldTotal))
	}
	return found
}

// firstUnlike shows the first place at which two lists differ; nothing if none.
func firstUnlike[T comparable](want, have []T) (expected, found string) {
	for i := range max(len(want), len(have)) {
		if i < len(want) && i < len(have) && want[i] == have[i] {
			continue
		}
		return item(want, i), item(have, i)
	}
	return "", ""
}

func item[T any](list []T, i int) string {
	if i >= len(list) {
		return fmt.Sprintf("nothing behind the first %d", len(list))
	}
	text, err := json.Marshal(list[i])
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("as number %d %s", i+1, text)
}
