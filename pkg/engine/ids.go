package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// idHexDigits is how much of a hash an id carries: 80 bits, so that ids of
// different attempts do not meet in the life of a log, and still fit a line.
const idHexDigits = 20

// ActionIDFor names one attempt, counted from 1, at one need, in an epoch of
// its node and a generation of the inventory. It depends on nothing else, so
// whoever decides again gives the same id. An id is lower-case letters, digits
// and dashes, such as enroll-9f2c5b0a41d37e6688c1: one legal subject token.
func ActionIDFor(need Need, epoch, generation uint64, attempt int) fleet.ActionID {
	b := []byte("fleetfold action 1\n")
	b = appendField(b, string(need.Type))
	b = appendField(b, string(need.ID))
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = binary.BigEndian.AppendUint64(b, generation)
	b = binary.BigEndian.AppendUint64(b, uint64(attempt))
	return fleet.ActionID(idPrefix(need.Type) + digest(b))
}

// PlanIDFor names the plan that publishes exactly these steps in this order.
func PlanIDFor(steps []Step) fleet.PlanID {
	b := []byte("fleetfold plan 1\n")
	for i := range steps {
		b = appendField(b, string(steps[i].ActionID))
	}
	return fleet.PlanID("plan-" + digest(b))
}

// ApprovalIDFor names the exact set of decommissions of a plan, in whatever
// order; empty for a plan without any. Another set has another id, so that an
// approval cannot be given to what nobody has looked at.
func ApprovalIDFor(plan fleet.Plan) fleet.ApprovalID {
	var ids []string
	for _, a := range plan.Actions {
		if a.Type == fleet.DecommissionNode {
			ids = append(ids, string(a.ID))
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	b := []byte("fleetfold approval 1\n")
	for _, id := range ids {
		b = appendField(b, id)
	}
	return fleet.ApprovalID("removal-" + digest(b))
}

// appendField appends s behind its length, so that no two lists of fields
// have the same bytes.
func appendField(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:idHexDigits]
}

func idPrefix(t fleet.ActionType) string {
	switch t {
	case fleet.EnrollNode:
		return "enroll-"
	case fleet.IssueCredential:
		return "issue-"
	case fleet.DecommissionNode:
		return "decommission-"
	case fleet.DisableStrictEnforcement:
		return "disable-strict-"
	case fleet.EnableStrictEnforcement:
		return "enable-strict-"
	}
	return "action-"
}
