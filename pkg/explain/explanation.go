package explain

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Kind is what can be explained.
type Kind string

// The kinds of a Subject.
const (
	KindNode   Kind = "node"
	KindAction Kind = "action"
	KindStrict Kind = "strict"
)

// Subject is what is to be explained.
type Subject struct {
	Kind Kind `json:"kind"`
	// Node is set for KindNode, and for KindAction where the action concerns one.
	Node fleet.NodeID `json:"node,omitempty"`
	// Action is set for KindAction, the whole id, and Type is what it does; see Find.
	Action fleet.ActionID   `json:"action,omitempty"`
	Type   fleet.ActionType `json:"type,omitempty"`
}

// Explanation is why a subject is as it is, at one sequence of a log. Every
// sequence in it is that of a record that stands there; 0 means none. All times
// are UTC.
type Explanation struct {
	Subject Subject `json:"subject"`
	// Sequence is the last record folded, Now the time that holds and backoffs are
	// judged by.
	Sequence uint64    `json:"sequence"`
	Now      time.Time `json:"now"`
	// Inventory in force; nil: none was ever applied.
	Inventory *Inventory `json:"inventory,omitempty"`
	// Verdict is the answer in one sentence.
	Verdict string `json:"verdict"`
	// Node is what holds of the subject's node; nil where it has none.
	Node *Node `json:"node,omitempty"`
	// Strict is what holds of enforcement; nil unless that is the subject.
	Strict *Strict `json:"strict,omitempty"`
	// Action is the subject's story; nil unless it is an action.
	Action *Action `json:"action,omitempty"`
	// Pending is what the plan wants of the subject, and what is in flight for it:
	// for a node what names it, for enforcement the two actions that name none.
	Pending []Pending `json:"pending"`
	// Steps are the chain of causes, oldest first. Omitted counts the older ones
	// that are left out: see MaxSteps.
	Steps   []Step `json:"steps"`
	Omitted int    `json:"omitted,omitempty"`
	// Unreadable lists the inventories that could not be had or read: what they
	// asked for is not known.
	Unreadable []Unreadable `json:"unreadable,omitempty"`
}

// MaxSteps is how many steps an explanation has at most: the newest, or for an
// action those that led to it.
const MaxSteps = 200

// Inventory names the inventory in force.
type Inventory struct {
	Digest     string `json:"digest"`
	Generation uint64 `json:"generation"`
	// Sequence is where it was applied.
	Sequence uint64 `json:"sequence"`
	Actor    string `json:"actor"`
	Note     string `json:"note,omitempty"`
	// RequireSig says whether it asks for strict enforcement.
	RequireSig bool `json:"require_sig"`
}

// Unreadable is an inventory that could not be had, or read.
type Unreadable struct {
	Sequence uint64 `json:"sequence"`
	Digest   string `json:"digest"`
	Error    string `json:"error"`
}

// Truth is whether something holds, and which record made it so.
type Truth struct {
	Is bool `json:"is"`
	// Since is the record from which on it has been so; 0: it was never otherwise.
	Since uint64 `json:"since"`
	// At is when the log stored it, By its type; zero and empty for 0.
	At time.Time   `json:"at,omitzero"`
	By events.Type `json:"by,omitempty"`
}

// Node is what holds of one node.
type Node struct {
	ID fleet.NodeID `json:"id"`
	// Region of the inventory in force; empty for a node that it does not name.
	Region string `json:"region,omitempty"`
	// Epoch counts the lives of the id, from 1.
	Epoch    uint64 `json:"epoch"`
	Desired  Truth  `json:"desired"`
	Observed Truth  `json:"observed"`
	Present  Truth  `json:"present"`
	CanSign  Truth  `json:"can_sign"`
	// Absence and Unsigned say why it is not present, and cannot sign; empty where
	// it is and can.
	Absence  Why `json:"absence,omitempty"`
	Unsigned Why `json:"unsigned,omitempty"`
	// Challenge is where the newest credential was issued that still counts and is
	// not proved; 0: there is none.
	Challenge uint64 `json:"challenge,omitempty"`
	// Expires is when the credential ends that it can sign with.
	Expires time.Time `json:"expires,omitzero"`
	// Paused names the widest pause that covers the node.
	Paused *Paused `json:"paused,omitempty"`
}

// Why is a stable word for why a node is not present, or cannot sign.
type Why string

// Why a node is not present.
const (
	WhyNeverSeen Why = "never_seen"
	WhyLost      Why = "lost"
	WhyLeft      Why = "left"
	WhyRemoved   Why = "removed" // also: why it cannot sign
)

// Why a node cannot sign.
const (
	// WhyNeverIssued: no credential was issued to its present life.
	WhyNeverIssued Why = "never_issued"
	// WhyNotProved: one was issued, and the node has not answered the challenge.
	WhyNotProved  Why = "not_proved"
	WhyExpired    Why = "expired"
	WhyRevoked    Why = "revoked"
	WhyKeyChanged Why = "key_changed"
)

// Paused is a pause and the record that began it.
type Paused struct {
	fleet.Pause
	Sequence uint64 `json:"sequence"`
}

// Strict is what holds of enforcement.
type Strict struct {
	Is bool `json:"is"`
	// Wanted says that the inventory in force asks for it.
	Wanted bool `json:"wanted"`
	// Since is the record that made enforcement what it is; 0: it was never
	// anything but permissive.
	Since uint64    `json:"since"`
	At    time.Time `json:"at,omitzero"`
	// Blockers are the nodes that keep it off, in inventory order: those of
	// engine.Blocking.
	Blockers []Blocker `json:"blockers"`
	// Held is what a safeguard would say of the flip now, whether or not nodes stand
	// in its way: such as a pause of the fleet, or blindness. Nil: nothing; and
	// always nil where the flip is not to come.
	Held *fleet.Held `json:"held,omitempty"`
	// Unsettled is the newest plan, if no node keeps the flip off and whoever decided
	// that plan had not yet seen all nodes that the log calls present: planners hold
	// the flip meanwhile. Else 0.
	Unsettled uint64 `json:"unsettled,omitempty"`
	// Flip is how it became strict; nil unless it is.
	Flip *Flip `json:"flip,omitempty"`
}

// Blocker is a node that keeps strict enforcement off.
type Blocker struct {
	ID     fleet.NodeID `json:"id"`
	Region string       `json:"region"`
	// Reason is that of engine.Blocking.
	Reason  string `json:"reason"`
	Present Truth  `json:"present"`
	CanSign Truth  `json:"can_sign"`
	// Absence, Unsigned and Challenge are those of Node.
	Absence   Why    `json:"absence,omitempty"`
	Unsigned  Why    `json:"unsigned,omitempty"`
	Challenge uint64 `json:"challenge,omitempty"`
	// Pending is what is being done about it; nil: nothing that the plan has.
	Pending *Pending `json:"pending,omitempty"`
}

// Flip is how a fleet became strict.
type Flip struct {
	// Sequence of enforcement.enabled, and the Generation it was decided for.
	Sequence   uint64 `json:"sequence"`
	Generation uint64 `json:"generation"`
	// Action that did it, where it stands, and the plan it was published in; 0 and
	// empty where the log does not say.
	Action   fleet.ActionID `json:"action"`
	ActionAt uint64         `json:"action_at,omitempty"`
	Plan     fleet.PlanID   `json:"plan,omitempty"`
	PlanAt   uint64         `json:"plan_at,omitempty"`
	// Basis is the sequence that the plan was decided on.
	Basis uint64 `json:"basis,omitempty"`
	// Proofs are, of each node that was desired, the facts that it stood on, in
	// inventory order.
	Proofs []Proof `json:"proofs"`
}

// Proof is why a node did not stand in the way of the flip.
type Proof struct {
	ID fleet.NodeID `json:"id"`
	// Present is the record since which it was present, Proved the
	// credential.proved since which it could sign.
	Present uint64 `json:"present"`
	Proved  uint64 `json:"proved"`
}

// Step is one record of the log that concerns the subject.
type Step struct {
	Sequence uint64      `json:"sequence"`
	Time     time.Time   `json:"time"`
	Type     events.Type `json:"type"`
	// Source is who said it: a component, or a node's SPIFFE ID.
	Source string       `json:"source,omitempty"`
	Node   fleet.NodeID `json:"node,omitempty"`
	// Action that the record is about.
	Action fleet.ActionID `json:"action,omitempty"`
	// Says is the record in a few words.
	Says string `json:"says,omitempty"`
	// Changed is what it changed of the subject in the fold; empty: nothing.
	Changed []Change `json:"changed,omitempty"`
	// Because are the records that it follows from, as far as they concern the
	// subject.
	Because []Cause `json:"because,omitempty"`
	// Ignored says that the record counted for nothing at all.
	Ignored bool `json:"ignored,omitempty"`
	// Held is why a plan wanted something of the subject and did not publish it.
	Held *fleet.Held `json:"held,omitempty"`
	// Again counts the plans behind this one that said the same of the subject, the
	// last of them at LastAgain.
	Again     int    `json:"again,omitempty"`
	LastAgain uint64 `json:"last_again,omitempty"`
}

// Change is one thing that the fold believes otherwise since a step.
type Change struct {
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Cause names a record that something follows from.
type Cause struct {
	Sequence uint64      `json:"sequence"`
	Type     events.Type `json:"type"`
	// Says what follows from it, such as "absent".
	Says string `json:"says"`
}

// Outcome is how an action ended.
type Outcome struct {
	Sequence   uint64       `json:"sequence"`
	Time       time.Time    `json:"time"`
	Type       events.Type  `json:"type"`
	Reason     fleet.Reason `json:"reason,omitempty"`
	Detail     string       `json:"detail,omitempty"`
	DurationMS int64        `json:"duration_ms,omitempty"`
}

// Action is the story of one action.
type Action struct {
	fleet.Action
	ActionID   fleet.ActionID `json:"action_id"`
	Attempt    int            `json:"attempt"`
	Epoch      uint64         `json:"epoch"`
	Generation uint64         `json:"generation"`
	// Sequence is where it was published, At when the log stored it.
	Sequence uint64    `json:"sequence"`
	At       time.Time `json:"at"`
	// Counted says that the fold took it into flight: it was of its node's epoch,
	// of no inventory to come, and not published before.
	Counted bool `json:"counted"`
	// Plan it was published in, where that stands, and the sequence decided on.
	Plan   fleet.PlanID `json:"plan,omitempty"`
	PlanAt uint64       `json:"plan_at,omitempty"`
	Basis  uint64       `json:"basis,omitempty"`
	// Because is why the need was there when the plan was decided.
	Because []Cause `json:"because,omitempty"`
	// Earlier are the attempts at the same need before it, oldest first, at the
	// same epoch and generation.
	Earlier []Attempt `json:"earlier,omitempty"`
	// Outcome is nil while it is in flight, or where the log has none.
	Outcome *Outcome `json:"outcome,omitempty"`
	// SupersededBy is the next attempt at the same need; empty: there is none.
	SupersededBy fleet.ActionID `json:"superseded_by,omitempty"`
	SupersededAt uint64         `json:"superseded_at,omitempty"`
}

// Attempt is one of the attempts at a need.
type Attempt struct {
	Action   fleet.ActionID `json:"action"`
	Attempt  int            `json:"attempt"`
	Sequence uint64         `json:"sequence"`
	Outcome  *Outcome       `json:"outcome,omitempty"`
}
