package events

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Type is the CloudEvents type of an event. Types are names of the wire, never
// Go names, so that a rename in the code cannot break a stored log.
type Type string

// Facts, in the past tense; they live on the log.
const (
	TypeInventoryApplied    Type = "inventory.applied"
	TypeTrustPublished      Type = "trust.published"
	TypeNodeAppeared        Type = "node.appeared"
	TypeNodeLost            Type = "node.lost"
	TypeNodeLeft            Type = "node.left"
	TypeNodeRemoved         Type = "node.removed"
	TypeCredentialIssued    Type = "credential.issued"
	TypeCredentialProved    Type = "credential.proved"
	TypeCredentialExpired   Type = "credential.expired"
	TypeCredentialRevoked   Type = "credential.revoked"
	TypeEnforcementEnabled  Type = "enforcement.enabled"
	TypeEnforcementDisabled Type = "enforcement.disabled"
	TypePlanDecided         Type = "plan.decided"
	TypePlanApproved        Type = "plan.approved"
	TypeControlPaused       Type = "control.paused"
	TypeControlResumed      Type = "control.resumed"
	TypeMessageRefused      Type = "message.refused"
	TypeRotationRequested   Type = "rotation.requested"
	TypeActionSucceeded     Type = "action.succeeded"
	TypeActionFailed        Type = "action.failed"
	TypeActionRefused       Type = "action.refused"
	TypeRetryRequested      Type = "action.retry-requested"

	TypeNodeBundleReported     Type = "node.bundle-reported"
	TypeTrustDelegated         Type = "trust.delegated"
	TypeTrustRotationRequested Type = "trust.rotation-requested"
	TypeTrustRotationHeld      Type = "trust.rotation-held"
	TypeTrustActivated         Type = "trust.activated"
	TypeTrustRetired           Type = "trust.retired"

	TypeCheckpointSigned Type = "checkpoint.signed"
	TypePartitionApplied Type = "partition.applied"
)

// Actions, in the imperative; they live on the log under fleet.actions.
const (
	TypeEnrollNode               Type = "enroll-node"
	TypeIssueCredential          Type = "issue-credential"
	TypeDecommissionNode         Type = "decommission-node"
	TypeDisableStrictEnforcement Type = "disable-strict-enforcement"
	TypeEnableStrictEnforcement  Type = "enable-strict-enforcement"
)

// What passes between an agent and the border; never on the log.
const (
	TypeNodeHeartbeat        Type = "node.heartbeat"
	TypeCertificateRequested Type = "certificate.requested"
	TypeCredentialDelivered  Type = "credential.delivered"
	TypeNodeStopRequested    Type = "node.stop-requested"
	TypeCommandAnswered      Type = "command.answered"

	TypeRenewalRequested            Type = "credential.renewal-requested"
	TypeCredentialConfirmed         Type = "credential.confirmed"
	TypeCredentialRotationRequested Type = "credential.rotation-requested"

	TypeRefusalReported Type = "refusal.reported"
)

// Payload is the data of an event: one of the types below.
type Payload interface{ payload() }

// InventoryApplied says which inventory is in force from here on. The text
// lies in the object store under its digest.
type InventoryApplied struct {
	Digest string `json:"digest"`
	// Generation counts the inventories of this fleet from 1.
	Generation uint64 `json:"generation"`
	Actor      string `json:"actor"`
	Note       string `json:"note,omitempty"`
}

// TrustPublished adds a root certificate to the trust bundle, or takes the place
// of an earlier one for the same key. The first root of a trust domain issues at
// once; later ones do from trust.activated on.
type TrustPublished struct {
	TrustDomain string `json:"trust_domain"`
	// Fingerprint of the root's public key, "sha256:<hex>".
	Fingerprint    string `json:"fingerprint"`
	CertificatePEM string `json:"certificate_pem"`
}

// NodeAppeared says that a node's lease began.
type NodeAppeared struct {
	// Epoch of the node id: 1, and one more after every removal.
	Epoch uint64 `json:"epoch"`
	// Session is drawn by the agent at each start of its process.
	Session string `json:"session"`
	// KeyFingerprint of the node's own key, "sha256:<hex>".
	KeyFingerprint string `json:"key_fingerprint"`
}

// NodeLost says that a node's lease ended without a farewell.
type NodeLost struct {
	Epoch uint64 `json:"epoch"`
	// Reason is lease_expired, or no_lease when a whole lease passed after the
	// sensor's start without a sign of the node.
	Reason fleet.Reason `json:"reason"`
}

// NodeLeft says that a node said farewell.
type NodeLeft struct {
	Epoch uint64 `json:"epoch"`
}

// NodeRemoved ends an epoch of a node id: the node is no longer observed.
type NodeRemoved struct {
	Epoch  uint64         `json:"epoch"`
	Action fleet.ActionID `json:"action"`
}

// CredentialIssued says which certificate a node was given, and the challenge
// it must answer with the certificate's key before it counts as able to sign.
type CredentialIssued struct {
	Epoch uint64 `json:"epoch"`
	// Action that issued it; empty on a renewal, which no plan asked for.
	Action fleet.ActionID `json:"action,omitempty"`
	// Renews is the serial of the credential that a renewal is to replace; empty
	// where an action issued.
	Renews string `json:"renews,omitempty"`
	// Serial of the certificate in lower-case hex.
	Serial         string    `json:"serial"`
	Nonce          string    `json:"nonce"`
	KeyFingerprint string    `json:"key_fingerprint"`
	NotBefore      time.Time `json:"not_before"`
	NotAfter       time.Time `json:"not_after"`
	// Issuer is the fingerprint of the key that signed the certificate,
	// "sha256:<hex>": of the root or of a region's intermediate.
	Issuer string `json:"issuer"`
	// CertificatePEM is the chain without its root, the leaf first.
	CertificatePEM string `json:"certificate_pem"`
}

// CredentialProved is the node's own signed statement, copied to the log byte
// for byte once the border has verified it. The signature is the event's
// dssematerial.
type CredentialProved struct {
	Epoch  uint64 `json:"epoch"`
	Serial string `json:"serial"`
	Nonce  string `json:"nonce"`
}

// CredentialExpired says that a credential ended, the clock-skew margin early.
type CredentialExpired struct {
	Epoch    uint64    `json:"epoch"`
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
}

// CredentialRevoked says that a credential counts for nothing from here on.
type CredentialRevoked struct {
	Epoch  uint64 `json:"epoch"`
	Serial string `json:"serial"`
	// Reason is decommissioned, key_changed or credential_lost.
	Reason fleet.Reason   `json:"reason"`
	Action fleet.ActionID `json:"action,omitempty"`
}

// EnforcementEnabled makes receivers refuse unsigned posts.
type EnforcementEnabled struct {
	Generation uint64         `json:"generation"`
	Action     fleet.ActionID `json:"action"`
}

// EnforcementDisabled makes receivers accept unsigned posts.
type EnforcementDisabled struct {
	Generation uint64         `json:"generation"`
	Action     fleet.ActionID `json:"action"`
}

// PlanDecided is the first message of each published batch. It carries every
// input of the decision that is not on the log itself.
type PlanDecided struct {
	Plan fleet.PlanID `json:"plan"`
	// Basis is the sequence of the log decided on.
	Basis           uint64 `json:"basis"`
	InventoryDigest string `json:"inventory_digest"`
	Generation      uint64 `json:"generation"`
	// RuleVersion names the version of the decision rule.
	RuleVersion string `json:"rule_version"`
	// DecidedAt is the planner's clock when it decided: backoff ends by it.
	DecidedAt time.Time `json:"decided_at"`
	// Settled says that the planner was warm: it had seen every node that the log
	// called present, or had watched for a whole lease.
	Settled bool `json:"settled"`
	// Waiting says what a planner that was not settled waited for; empty where it
	// was, and in plans of before it was recorded.
	Waiting string `json:"waiting,omitempty"`
	// SightSince is when, as far as the planner knew, many lost nodes had last
	// come back; zero: never.
	SightSince time.Time      `json:"sight_since,omitzero"`
	Safeguards HoldSafeguards `json:"safeguards"`
	Policy     DispatchPolicy `json:"policy"`
	// Actions published in this batch, in order.
	Actions []ActionRequested `json:"actions"`
	// Held lists what the plan wants and this batch leaves out, at most
	// MaxHeldListed of them; HeldTotal counts them all.
	Held      []fleet.Held `json:"held,omitempty"`
	HeldTotal int          `json:"held_total"`
	// Shard that the plan is of, and the sequence of the partition that it was
	// decided under. Empty and 0: a fleet that was never divided.
	Shard     string `json:"shard,omitempty"`
	Partition uint64 `json:"partition,omitempty"`
}

// MaxHeldListed bounds PlanDecided.Held, so that a plan for a million nodes
// still fits into one message.
const MaxHeldListed = 200

// HoldSafeguards records the thresholds a plan was held against.
type HoldSafeguards struct {
	RemovalMin          int     `json:"removal_min"`
	RemovalFraction     float64 `json:"removal_fraction"`
	BlindFraction       float64 `json:"blind_fraction"`
	BlindMin            int     `json:"blind_min"`
	LostWaitSeconds     float64 `json:"lost_wait_seconds"`
	FlapThreshold       float64 `json:"flap_threshold"`
	FlapHalfLifeSeconds float64 `json:"flap_half_life_seconds"`
}

// DispatchPolicy records the thresholds a plan was dispatched under.
type DispatchPolicy struct {
	MaxInFlight        int     `json:"max_in_flight"`
	BackoffBaseSeconds float64 `json:"backoff_base_seconds"`
	BackoffCapSeconds  float64 `json:"backoff_cap_seconds"`
	Jitter             float64 `json:"jitter"`
	// StuckAfter is left out by plans of before there was one.
	StuckAfter int `json:"stuck_after,omitempty"`
}

// PlanApproved says that a person approved the decommissions of a plan, which
// are more than a planner carries out on its own.
type PlanApproved struct {
	// Approval names exactly the decommissions that the person has seen.
	Approval fleet.ApprovalID `json:"approval"`
	// Basis is the sequence of the log at which they were those of the plan. The
	// approval covers the lives of nodes that had begun by then, until another
	// inventory is applied.
	Basis uint64 `json:"basis"`
	Actor string `json:"actor"`
	Note  string `json:"note,omitempty"`
}

// ControlPaused says that a person wants nothing done to a target from here on.
type ControlPaused struct {
	fleet.Target
	Actor string `json:"actor"`
	Note  string `json:"note,omitempty"`
}

// ControlResumed ends the pause of exactly that target.
type ControlResumed struct {
	fleet.Target
	Actor string `json:"actor"`
	Note  string `json:"note,omitempty"`
}

// MessageRefused says that somebody was refused: by a planner or an executor, by a
// node's receiver, or by the NATS server. It counts for nothing: it is there to be
// read.
type MessageRefused struct {
	// Channel is presence, credential or request for what was said or requested in a
	// node's name; RefusedPost, RefusedFile and RefusedBus; RefusedOthers where one
	// event sums up what found no room of its own.
	Channel string `json:"channel"`
	// Node in whose name it was said or tried; with RefusedPost and RefusedFile the
	// node that refused. Empty where that is not known, or is no node.
	Node fleet.NodeID `json:"node,omitempty"`
	// Reason is stable; Detail is one sentence on the newest of them, at most
	// MaxRefusalDetail bytes.
	Reason fleet.Reason `json:"reason"`
	Detail string       `json:"detail"`
	// Count of messages since the last event of this channel, node and reason.
	Count uint64 `json:"count"`
}

// RefusedOthers is channel and reason of a MessageRefused about many nodes.
const RefusedOthers = "others"

// Channels of a MessageRefused besides those that nodes speak on.
const (
	// RefusedPost: a receiver took no post of somebody; it says so itself.
	RefusedPost = "post"
	// RefusedFile: a program did not take a key, certificate or credential that it
	// found on its disk; it says so itself.
	RefusedFile = "file"
	// RefusedBus: the NATS server let somebody not in, or not publish or subscribe.
	RefusedBus = "bus"
)

// MaxRefusalDetail bounds MessageRefused.Detail, in bytes.
const MaxRefusalDetail = 256

// CheckpointSigned says what the log was, signed by who keeps account of it. It
// counts for nothing: it is there so that a history which was rewritten shows.
type CheckpointSigned struct {
	// Size is how many records, from the first, it is about; it stands behind them.
	Size uint64 `json:"size"`
	// Note is the signed note, as pkg/merkle writes it, at most MaxCheckpointNote bytes.
	Note string `json:"note"`
	// Frontier has the base64 of the roots of the complete subtrees, the largest
	// first, so that whoever makes the next checkpoint can go on from here.
	Frontier []string `json:"frontier"`
}

// MaxCheckpointNote bounds CheckpointSigned.Note, in bytes.
const MaxCheckpointNote = 16 << 10

// RotationRequested says that a person wants every credential of a target
// renewed that was issued before this fact, as the sequence of the log tells.
type RotationRequested struct {
	fleet.Target
	// RatePerSecond bounds how many nodes are asked a second; above 0.
	RatePerSecond float64 `json:"rate_per_second"`
	Actor         string  `json:"actor"`
	Note          string  `json:"note,omitempty"`
}

// ActionRequested is the data of the five action types.
type ActionRequested struct {
	Type fleet.ActionType `json:"type"`
	// ID is the node concerned; empty for the enforcement actions.
	ID     fleet.NodeID   `json:"id,omitempty"`
	Action fleet.ActionID `json:"action"`
	// Attempt counts from 1 for one need at one epoch and generation.
	Attempt    int    `json:"attempt"`
	Epoch      uint64 `json:"epoch"`
	Generation uint64 `json:"generation"`
}

// ActionSucceeded is the one terminal outcome of an action that was done.
type ActionSucceeded struct {
	Type   fleet.ActionType `json:"type"`
	ID     fleet.NodeID     `json:"id,omitempty"`
	Action fleet.ActionID   `json:"action"`
	// DurationMS is how long the handler ran, in milliseconds.
	DurationMS int64 `json:"duration_ms"`
}

// ActionFailed is the one terminal outcome of an action that could not be done.
type ActionFailed struct {
	Type       fleet.ActionType `json:"type"`
	ID         fleet.NodeID     `json:"id,omitempty"`
	Action     fleet.ActionID   `json:"action"`
	DurationMS int64            `json:"duration_ms"`
	Reason     fleet.Reason     `json:"reason"`
	Detail     string           `json:"detail"`
}

// ActionRefused is the one terminal outcome of an action that was no longer
// wanted, or held, when an executor took it up.
type ActionRefused struct {
	Type   fleet.ActionType `json:"type"`
	ID     fleet.NodeID     `json:"id,omitempty"`
	Action fleet.ActionID   `json:"action"`
	Reason fleet.Reason     `json:"reason"`
	Detail string           `json:"detail"`
	// Basis is the sequence the refusal was decided on.
	Basis uint64 `json:"basis"`
}

func (*NodeBundleReported) payload()     {}
func (*TrustDelegated) payload()         {}
func (*TrustRotationRequested) payload() {}
func (*TrustRotationHeld) payload()      {}
func (*TrustActivated) payload()         {}
func (*TrustRetired) payload()           {}

func (*InventoryApplied) payload()     {}
func (*TrustPublished) payload()       {}
func (*NodeAppeared) payload()         {}
func (*NodeLost) payload()             {}
func (*NodeLeft) payload()             {}
func (*NodeRemoved) payload()          {}
func (*CredentialIssued) payload()     {}
func (*CredentialProved) payload()     {}
func (*CredentialExpired) payload()    {}
func (*CredentialRevoked) payload()    {}
func (*EnforcementEnabled) payload()   {}
func (*EnforcementDisabled) payload()  {}
func (*PlanDecided) payload()          {}
func (*PlanApproved) payload()         {}
func (*ControlPaused) payload()        {}
func (*ControlResumed) payload()       {}
func (*MessageRefused) payload()       {}
func (*CheckpointSigned) payload()     {}
func (*ActionRequested) payload()      {}
func (*ActionSucceeded) payload()      {}
func (*ActionFailed) payload()         {}
func (*ActionRefused) payload()        {}
func (*Heartbeat) payload()            {}
func (*CertificateRequested) payload() {}
func (*CredentialDelivered) payload()  {}
func (*NodeStopRequested) payload()    {}
func (*CommandAnswered) payload()      {}

func (*RotationRequested) payload()           {}
func (*RenewalRequested) payload()            {}
func (*CredentialConfirmed) payload()         {}
func (*CredentialRotationRequested) payload() {}
