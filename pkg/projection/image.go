package projection

import (
	"maps"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// FoldVersion names the rules of the fold. It is one more whenever the same log
// would give another Image: when a rule changes, when an event type is added,
// when an Image says more than before. An Image of another version is of no use.
const FoldVersion = 6

// Image is a State as plain values, for a snapshot. Equal states have equal
// images, however they were reached, and nothing that a State answers now or
// later depends on anything that is not in its Image. All times are UTC.
type Image struct {
	// Sequence is the last one folded.
	Sequence uint64
	// IDs has one entry for each id ever heard of: first the observed nodes in
	// order of first appearance, then the others by name.
	IDs []IDImage
	// StrictEnforced as receivers were last told, by the action Enforcement.
	StrictEnforced bool
	Enforcement    fleet.ActionID
	Inventory      InventoryRef
	// Posture since when the fleet is as strict as it is.
	Posture Posture
	// At is the latest time at which the log stored a message.
	At time.Time
	// Issuers in the order published, the newest versions of bundles of their
	// roots, oldest first, and the sequence at which roots changed last.
	Issuers    []Issuer
	Bundles    []BundleImage
	LastBundle uint64
	// IssuerSteps that wait, by the age of the request.
	IssuerSteps []IssuerStep
	// Revoked certificates by their end; LastRevoked is the sequence at which
	// there was another, RevokedDropped how many there was no room for.
	Revoked        []Revoked
	LastRevoked    uint64
	RevokedDropped int
	// Pauses by scope and name, Approvals oldest first. ApprovedTo is the
	// highest basis of an approval.
	Pauses     []fleet.Pause
	Approvals  []Approval
	ApprovedTo uint64
	// Rotations as State.Rotations lists them.
	Rotations []Rotation
	// Safeguards and Policy of the newest plan.
	Safeguards events.HoldSafeguards
	Policy     events.DispatchPolicy
	// The last sequences on the subjects that are no node's; 0 for none.
	LastPlan, LastEnforcement, LastInventory, LastTrust uint64
	// PlanEnd is where the last action of the newest plan stands, or will.
	PlanEnd uint64
	// Ignored counts the events that counted for nothing, by type, in the order
	// of the types' names.
	Ignored []IgnoredCount
	Unfit   int
	// Flights in stream order.
	Flights []Flight
	// Sharing is of planners that share the fleet.
	Sharing SharingImage
}

// IDImage is what is kept of one id.
type IDImage struct {
	ID fleet.NodeID
	// Epoch of the id, from 1. It is 0 when no fact ever named the id and only
	// actions did; then nothing but Attempts is set.
	Epoch uint64
	// Last sequence on the id's subject.
	Last      uint64
	RemovedAt time.Time
	// Losses of the present life, oldest first, at most 16.
	Losses []time.Time
	// Earlier certificates of the present life, besides those of Node.
	Earlier []EarlierImage
	// Node is nil for an id that is not observed. Its Last is not set.
	Node *Node
	// Attempts in the order of fleet.ActionTypes; the empty ID has those of the
	// two enforcement actions.
	Attempts []NeedImage
}

// BundleImage is one version of a trust domain's bundle: its digest, and the
// fingerprints of its roots.
type BundleImage struct {
	Digest string
	Roots  []string
}

// EarlierImage is a certificate that another one took the place of.
type EarlierImage struct {
	Serial, Issuer, KeyFingerprint string
	NotAfter                       time.Time
}

// NeedImage is what was tried for one need of an id.
type NeedImage struct {
	Type fleet.ActionType
	Attempts
}

// IgnoredCount is how many events of a type counted for nothing.
type IgnoredCount struct {
	Type  string
	Count int
}

// Image copies the state. A large one is better held still: see Still.
func (s *State) Image() Image {
	still := s.Still()
	img := still.Image
	img.IDs = make([]IDImage, 0, still.Len())
	for i := range still.IDs() {
		img.IDs = append(img.IDs, i)
	}
	return img
}

// fleetImage is all of an Image but the ids.
func (s *State) fleetImage() Image {
	return Image{
		Sequence:       s.sequence,
		StrictEnforced: s.observed.state.StrictEnforced, Enforcement: s.enforcement,
		Inventory: s.inventory, Posture: s.posture, At: s.at,
		Issuers: s.Issuers(), Bundles: s.trust.bundleImages(), LastBundle: s.trust.changed, IssuerSteps: s.IssuerSteps(),
		Revoked: s.revoked.sorted(), LastRevoked: s.revoked.last, RevokedDropped: s.revoked.dropped,
		Pauses: s.Pauses(), Approvals: s.Approvals(), ApprovedTo: s.control.approvedTo, Rotations: s.Rotations(),
		Safeguards: s.safeguards, Policy: s.policy,
		LastPlan: s.last.plan, LastEnforcement: s.last.enforcement, LastInventory: s.last.inventory, LastTrust: s.last.trust,
		PlanEnd: s.planEnd, Ignored: s.ignoredCounts(), Unfit: s.unfit, Flights: s.ledger.Flights(),
		Sharing: s.sharingImage(),
	}
}

func (s *State) ignoredCounts() []IgnoredCount {
	list := make([]IgnoredCount, 0, len(s.ignored))
	for _, t := range slices.Sorted(maps.Keys(s.ignored)) {
		list = append(list, IgnoredCount{t, s.ignored[t]})
	}
	return list
}
