package engine

import "github.com/fleetfold/fleetfold/pkg/fleet"

// Why a desired node keeps strict enforcement off.
const (
	// WhyAbsent: not present, though it could sign.
	WhyAbsent = "absent"
	// WhyCannotSign: present, with no valid credential.
	WhyCannotSign = "cannot sign"
	// WhyAbsentAndCannotSign: neither, or never seen at all.
	WhyAbsentAndCannotSign = "absent and cannot sign"
)

// Blocker is a desired node that keeps strict enforcement off.
type Blocker struct {
	ID fleet.NodeID `json:"id"`
	// Why is one of the Why constants; shown to a person as it is.
	Why string `json:"reason"`
}

// Blocking returns, in inventory order, the desired nodes for which Reconcile
// withholds EnableStrictEnforcement. It returns nil when nothing is withheld:
// the inventory is permissive, the fleet is strict already, or every desired
// node is present and can sign.
func Blocking(desired *fleet.Inventory, observed *fleet.ObservedState) []Blocker {
	if !desired.RequireSig || observed.StrictEnforced || settled(desired, observed) {
		return nil
	}
	var seen seen
	seen.build(observed.Nodes)
	var blockers []Blocker
	for node := range desired.Nodes() {
		have, _ := seen.of(node.ID)
		if why := whyBlocked(have); why != "" {
			blockers = append(blockers, Blocker{ID: node.ID, Why: why})
		}
	}
	return blockers
}

// whyBlocked is empty for a node that blocks nothing.
func whyBlocked(have fleet.ObservedNode) string {
	switch {
	case have.Present && have.CanSign:
		return ""
	case have.Present:
		return WhyCannotSign
	case have.CanSign:
		return WhyAbsent
	}
	return WhyAbsentAndCannotSign
}
