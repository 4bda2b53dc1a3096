package fleet

import "time"

// Scope says how much of a fleet something covers.
type Scope string

// The three scopes.
const (
	ScopeFleet  Scope = "fleet"
	ScopeRegion Scope = "region"
	ScopeNode   Scope = "node"
)

// Target is the part of a fleet that a pause or a rotation covers: all of it, the desired
// nodes of one region, or one node. Two targets are the same when they compare
// equal.
type Target struct {
	Scope Scope `json:"scope"`
	// Region is set for ScopeRegion only, ID for ScopeNode only.
	Region string `json:"region,omitempty"`
	ID     NodeID `json:"id,omitempty"`
}

// Valid says that the target names what its scope asks for, and no more.
func (t Target) Valid() bool {
	switch t.Scope {
	case ScopeFleet:
		return t.Region == "" && t.ID == ""
	case ScopeRegion:
		return t.Region != "" && t.ID == ""
	case ScopeNode:
		return t.Region == "" && t.ID != ""
	}
	return false
}

// Covers says whether the target takes in a node of a region.
func (t Target) Covers(region string, id NodeID) bool {
	switch t.Scope {
	case ScopeRegion:
		return t.Region == region
	case ScopeNode:
		return t.ID == id
	}
	return t.Scope == ScopeFleet
}

// String names the target for a person.
func (t Target) String() string {
	switch t.Scope {
	case ScopeRegion:
		return "region " + t.Region
	case ScopeNode:
		return "node " + string(t.ID)
	}
	return "the fleet"
}

// Pause says that a person wants nothing done to a target, until it is resumed.
type Pause struct {
	Target
	// Actor as they named themselves; nobody checks it. Note says why.
	Actor string `json:"actor"`
	Note  string `json:"note,omitempty"`
	// Since is when the log stored it.
	Since time.Time `json:"since"`
}

// ApprovalID names an exact set of decommissions that a person may approve.
type ApprovalID string
