package projection

import (
	"iter"
	"maps"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// State is the fleet as a prefix of its log tells it. The zero State is not
// usable; see New. A State is for one goroutine, or for many behind a lock
// that excludes Apply and Skip from everything else.
type State struct {
	sequence uint64
	ids      *cells
	observed observed
	ledger   Ledger

	inventory   InventoryRef
	trust       trust
	enforcement fleet.ActionID
	posture     Posture
	revoked     revocations
	// at is the latest time at which the log stored a message.
	at         time.Time
	control    control
	rotations  map[fleet.Target]Rotation
	safeguards events.HoldSafeguards
	policy     events.DispatchPolicy

	last    fences
	ignored map[string]int
	unfit   int
	// planEnd is where the last action of the newest plan stands, or will.
	planEnd uint64
	recent  recent
	sharing sharing
}

// fences are the last sequences on the subjects that are not a node's.
type fences struct{ plan, enforcement, inventory, trust, partition uint64 }

// InventoryRef names the inventory in force. The zero value means that none
// was ever applied.
type InventoryRef struct {
	Digest string
	// Generation counts the inventories; Sequence is where this one was applied.
	Generation, Sequence uint64
	Actor, Note          string
}

// Node is all that the log says of one observed node.
type Node struct {
	ID      fleet.NodeID
	Present bool
	// Lost says that it is absent and did not say farewell.
	Lost bool
	// Began is the sequence at which the present life was first seen.
	Began uint64
	// Epoch counts the lives of the id from 1.
	Epoch uint64
	// Session and KeyFingerprint as of the newest node.appeared.
	Session, KeyFingerprint string
	// Last sequence on the node's subject, whatever it was.
	Last uint64
	// Issued is the newest certificate given to the node, Proved the one whose
	// key it has proved to hold. Nil: none that still counts. Both may name the
	// same one; what they point to never changes.
	Issued, Proved *Credential
	// ProvedAt is when the log stored the proof; zero while Proved is nil.
	ProvedAt time.Time
	// Bundle is the digest of the trust bundle that the node reported last, as
	// events.BundleDigest gives it; empty: none.
	Bundle string
}

// Credential is a certificate and the challenge that came with it.
type Credential struct {
	// Serial in lower-case hex.
	Serial, Nonce       string
	KeyFingerprint      string
	Epoch               uint64
	NotBefore, NotAfter time.Time
	// Issuer is the fingerprint of the key that signed the certificate.
	Issuer string
	// Sequence of credential.issued, where the certificate's text stands, and
	// IssuedAt when the log stored it.
	Sequence uint64
	IssuedAt time.Time
}

// New is the state before the first event.
func New() *State {
	ids := new(cells)
	return &State{
		ids: ids, ledger: newLedger(ids), observed: observed{ids: ids}, ignored: make(map[string]int),
		control:   control{pauses: make(map[fleet.Target]fleet.Pause)},
		rotations: make(map[fleet.Target]Rotation),
	}
}

// Sequence is the last one folded; 0 before the first.
func (s *State) Sequence() uint64 { return s.sequence }

// Observed is the state that engine.Reconcile decides on. It is the State's
// own: the caller must not change it, and the next Apply may.
func (s *State) Observed() *fleet.ObservedState { return s.observed.get() }

// Counts is how many nodes are observed, and how many of them are present and
// can sign. It costs the same in a fleet of any size.
func (s *State) Counts() (observed, present, signing int) {
	return s.observed.living, s.observed.present, s.observed.signing
}

// StrictEnforced says whether receivers refuse unsigned posts.
func (s *State) StrictEnforced() bool { return s.observed.state.StrictEnforced }

// EnforcementAction is the action that last changed the enforcement; empty
// while it has never changed.
func (s *State) EnforcementAction() fleet.ActionID { return s.enforcement }

// Node returns what is known of an observed node.
func (s *State) Node(id fleet.NodeID) (n Node, observed bool) {
	c := s.ids.get(id)
	if !c.observed() {
		return n, false
	}
	return s.ids.node(c), true
}

// Standing is what of an observed node a decision follows from.
type Standing struct {
	fleet.ObservedNode
	// Lost as of Node. Began puts the observed nodes in order.
	Lost  bool
	Began uint64
}

// Standing of an observed node; false if it is not observed.
func (s *State) Standing(id fleet.NodeID) (Standing, bool) {
	c := s.ids.get(id)
	if !c.observed() {
		return Standing{}, false
	}
	return c.standing(), true
}

// Standings are those of all observed nodes, in the order of Observed. To walk them
// takes no memory, which Observed keeps from the first time that it is asked for.
func (s *State) Standings() iter.Seq[Standing] {
	return func(yield func(Standing) bool) {
		for _, n := range s.observed.numbers() {
			if !yield(s.ids.at(int(n)).standing()) {
				return
			}
		}
	}
}

// CanSign says that the node proved possession of a credential that no fact
// has ended since.
func (s *State) CanSign(id fleet.NodeID) bool {
	return s.ids.get(id).signs()
}

// Inventory names the inventory in force.
func (s *State) Inventory() InventoryRef { return s.inventory }

// Safeguards are those of the newest plan: what planners hold by, as far as the
// log tells. Zero while there is no plan.
func (s *State) Safeguards() events.HoldSafeguards { return s.safeguards }

// Policy is that of the newest plan, as Safeguards are. Zero while there is none.
func (s *State) Policy() events.DispatchPolicy { return s.policy }

// Ledger is the account of actions. It is the State's own and moves with it.
func (s *State) Ledger() *Ledger { return &s.ledger }

// LastPlan is the last sequence on the plans' subject; 0 for none.
func (s *State) LastPlan() uint64 { return s.last.plan }

// InsidePlan says that the newest plan is folded in part only, as happens while
// its batch is arriving. A decision on such a state would publish the rest of it
// once more: fold on first. It stays so where the rest never comes, as no honest
// planner leaves it: then only a fence on the whole log tells.
func (s *State) InsidePlan() bool { return s.sequence < s.planEnd }

// LastEnforcement is the last sequence on the enforcement subject; 0 for none.
func (s *State) LastEnforcement() uint64 { return s.last.enforcement }

// LastInventory is the last sequence on the inventory subject; 0 for none.
func (s *State) LastInventory() uint64 { return s.last.inventory }

// LastTrust is the last sequence on the trust subject; 0 for none.
func (s *State) LastTrust() uint64 { return s.last.trust }

// LastNode is the last sequence on a node's subject, of all its lives; 0 for none.
func (s *State) LastNode(id fleet.NodeID) uint64 {
	if c := s.ids.get(id); c != nil {
		return c.last
	}
	return 0
}

// RemovedAt is when the id's last life ended; zero if none has.
func (s *State) RemovedAt(id fleet.NodeID) time.Time { return s.ids.get(id).more().removedAt }

// Ignored counts, by event type, the events that fit and yet counted for
// nothing, such as a fact of an epoch that is over.
func (s *State) Ignored() map[string]int { return maps.Clone(s.ignored) }

// Unfit counts the messages that were no event of the log.
func (s *State) Unfit() int { return s.unfit }

// open is the cell of an id and its number; a new one for an id never heard of.
func (s *State) open(id fleet.NodeID) (int, *cell) {
	n, isNew := s.ids.open(id)
	if isNew {
		s.ledger.adopt(n)
	}
	return n, s.ids.change(n)
}

func (s *State) ignore(t events.Type) { s.ignored[string(t)]++ }
